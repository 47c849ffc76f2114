import denoJson from "../../../deno.json" with { type: "json" };

/** What a workflow is made for. */
export interface WorkflowRequest {
  /** How many jobs share the work. */
  readonly shards: number;
  /** Repository of a registry that keeps images and trees, if there is one. */
  readonly cache?: string;
  /** The image that jobs run in, where they need one. */
  readonly image?: string;
}

/** A system that runs jobs. */
export interface WorkflowKind {
  /** Into how many jobs it can part the work. */
  readonly maxShards: number;
  /** What it has to be told of, and what it has no use for. */
  readonly image: "required" | "none";
  /** Whether it can do without a cache. */
  readonly cache: "required" | "optional";
  /** Says what has to be there before the workflow runs, a line each. */
  about(request: WorkflowRequest): readonly string[];
  /** Makes the workflow, as plain data. */
  make(request: WorkflowRequest): unknown;
}

/** How a machine of Debian or Ubuntu gets stowage, a shell command each, with Deno at hand. */
export const INSTALL = {
  tools: "sudo apt-get update && sudo apt-get install -y skopeo zstd",
  stowage: `deno install --global --allow-all --name stowage ` +
    `jsr:@stowage/stowage@${denoJson.version}/cli`,
} as const;

/** The branch that moved pins are proposed from. */
export const BRANCH = "stowage/pins";

/** Looks all tags up again and commits the lock, where it has changed; ends the shell where not. */
export const MOVE_PINS = [
  "stowage lock --update",
  "git add images.lock.json",
  "git diff --cached --quiet && exit 0",
  `git checkout -B ${BRANCH}`,
  'git -c user.name=stowage -c user.email=stowage@localhost commit -m "Move the pins of images"',
] as const;

/**
 * Spells the command that each job runs. What users have said gets into it by variables only.
 *
 * @param shard The part, as the shell finds it out, or `undefined` if there is one.
 * @param more What else it is told.
 * @returns The command line.
 */
export function buildLine(shard: string | undefined, ...more: readonly string[]): string {
  const part = shard === undefined ? [] : ["--shard", `"${shard}"`];
  return ["stowage build --frozen", ...part, ...more].join(" ");
}

/**
 * Spells the command that packs results: archives of artifacts keep neither modes nor links.
 *
 * @param file The file, as the shell spells it.
 * @returns The command line.
 */
export function packLine(file: string): string {
  return `if [ -d dist ]; then tar --create --zstd --xattrs --file "${file}" dist; fi`;
}
