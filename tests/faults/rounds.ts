import pLimit from "p-limit";
import { ROUNDS, SEED } from "../support/seed.ts";
import { Random } from "./random.ts";

/** Rounds that go on side by side: most of their time they wait. */
const SIDE_BY_SIDE = 2;

/**
 * Runs rounds of a scenario. The error of one that fails says how to have it again.
 *
 * @param few How many there are, where nobody asks for more.
 * @param round One of them; it makes each choice with what it is given.
 * @param sideBySide How many go on at a time.
 */
export async function rounds(
  few: number,
  round: (random: Random) => Promise<void>,
  sideBySide: number = SIDE_BY_SIDE,
): Promise<void> {
  const limit = pLimit(sideBySide);
  // The seed is that of the first round; the next ones count on from there.
  const seeds = Array.from({ length: ROUNDS || few }, (_, at) => SEED + at);
  const failed: Error[] = [];
  await Promise.all(seeds.map((seed) =>
    limit(async () => {
      if (failed.length > 0) return;
      await round(new Random(seed)).catch((cause) => {
        const again = `STOWAGE_FAULT_SEED=${seed} STOWAGE_FAULT_ROUNDS=1`;
        failed.push(new Error(`the round of ${again} failed: ${cause?.message}`, { cause }));
      });
    })
  ));
  if (failed[0]) throw failed[0];
}
