/** How many rounds somebody asks for; 0 where nobody does. */
export const ROUNDS = Number(Deno.env.get("STOWAGE_FAULT_ROUNDS") || 0);

/**
 * The seed of all that is left to chance. It is always the same where nobody asks for rounds, as a
 * change that is tested should not be a lottery; who does looks for what is not known yet.
 */
export const SEED = Number(
  Deno.env.get("STOWAGE_FAULT_SEED") || (ROUNDS > 0 ? Math.floor(Math.random() * 2 ** 31) : 1),
);
