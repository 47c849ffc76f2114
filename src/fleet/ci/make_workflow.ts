import { stringify } from "@std/yaml/stringify";
import * as v from "valibot";
import { parseReference } from "../../../config/mod.ts";
import { CacheSchema } from "../../../config/cache.ts";
import { UsageError } from "../../errors/mod.ts";
import type { WorkflowKind, WorkflowRequest } from "./workflow.ts";

/** What a workflow can be made for: GitHub Actions, GitLab CI/CD, an Indexed Job of Kubernetes. */
export const CI_SYSTEMS = ["github", "gitlab", "kubernetes"] as const;

/** What a workflow can be made for. */
export type CiSystem = (typeof CI_SYSTEMS)[number];

/** The kinds; each is loaded when it is asked for. */
const KINDS: Readonly<Record<CiSystem, () => Promise<WorkflowKind>>> = {
  github: async () => (await import("./github.ts")).github,
  gitlab: async () => (await import("./gitlab.ts")).gitlab,
  kubernetes: async () => (await import("./kubernetes.ts")).kubernetes,
};

/** What `makeWorkflow()` takes. */
export interface WorkflowOptions {
  /** How many jobs share the work; 1 if absent. */
  readonly shards?: number;
  /** Repository that keeps images and trees for all jobs, `host[:port]/path`; Kubernetes needs it. */
  readonly cache?: string;
  /** The image that jobs run in, with stowage and `skopeo`; GitLab and Kubernetes need it. */
  readonly image?: string;
}

/**
 * Makes a workflow that builds a config, and on GitHub and GitLab another job that moves the pins
 * of its lock on a schedule.
 *
 * @param system What it is for.
 * @param options How much runs side by side, and where.
 * @returns The workflow, as YAML.
 * @throws {UsageError} If an option is wrong, missing, or of no use there.
 *
 * @example Usage
 * ```ts
 * import { makeWorkflow } from "@stowage/stowage";
 *
 * const text = await makeWorkflow("github", { shards: 4, cache: "registry.acme.io/ci/cache" });
 * ```
 */
export async function makeWorkflow(
  system: CiSystem,
  options: WorkflowOptions = {},
): Promise<string> {
  const kind = await KINDS[system]();
  const request = check(system, kind, options);
  const about = ["Made by `stowage ci`", ...kind.about(request)].map((line) => `# ${line}\n`);
  return about.join("") + stringify(kind.make(request), { lineWidth: -1, useAnchors: false });
}

function check(
  system: CiSystem,
  kind: WorkflowKind,
  { shards = 1, cache, image }: WorkflowOptions,
): WorkflowRequest {
  const refuse = (reason: string, hint?: string) =>
    new UsageError(`Cannot make a workflow for ${system}: ${reason}`, hint ? { hint } : {});
  if (!Number.isSafeInteger(shards) || shards < 1 || shards > kind.maxShards) {
    throw refuse(`expected 1 to ${kind.maxShards} shards, and not ${shards}`);
  }
  if (cache === undefined && kind.cache === "required") {
    throw refuse(
      "it needs a cache, as the disks of its jobs are lost",
      "name it with --cache REPO",
    );
  }
  if (cache !== undefined && !v.is(CacheSchema.entries.repository, cache)) {
    throw refuse(`"${cache}" is no repository`, "expected host[:port]/path, such as acme.io/cache");
  }
  if (image === undefined && kind.image === "required") {
    throw refuse(
      "it needs an image with stowage and skopeo",
      "name it with --image; docs/fleet.md says what it has to have",
    );
  }
  if (image !== undefined && kind.image === "none") {
    throw refuse("its jobs run in no image", "leave --image out: they install stowage themselves");
  }
  if (image !== undefined) checkImage(image, refuse);
  return { shards, ...(cache !== undefined && { cache }), ...(image !== undefined && { image }) };
}

/** What a reference may have, shells and YAML take as it is. */
function checkImage(image: string, refuse: (reason: string) => UsageError): void {
  try {
    parseReference(image);
  } catch {
    throw refuse(`"${image}" is no reference to an image`);
  }
}
