import type { Finding, FindingKind } from "../finding.ts";

/** What is not repaired in any case. */
const NEVER: Partial<Readonly<Record<FindingKind, string>>> = {
  origin: "the next `stowage fetch` that asks for the image by its tag records it again",
  referrer: "the next `stowage fetch` of its image brings it again, where its registry has it",
  artifact: "the next `stowage fetch` of its source brings it again",
  archive: "the next `stowage build` that needs it makes it again",
  tree: "the next `stowage build` that needs it makes it again",
  "docker-archive": "what an old osbuild left is not repaired: `stowage fetch` fetches the image",
  folder: "remove the link, if it is not meant",
};

/**
 * Says why something is not repaired, whatever the store and its sources have.
 *
 * @param finding What was found.
 * @returns Why not; `undefined` if it can be tried.
 */
export function whyLeft({ kind, problem, quarantine }: Finding): string | undefined {
  if (problem === "unreadable" && quarantine === undefined) {
    return "it stays where it is, as it could not be read: see why, and run `stowage verify` again";
  }
  return NEVER[kind];
}
