import { formatReference } from "../../config/mod.ts";
import { PushError } from "../errors/mod.ts";
import { digestOf } from "../lib/fs/files.ts";
import { readManifest } from "../store/manifest.ts";
import type { PushState } from "./push_state.ts";
import type { Sender, SendTo } from "./sender.ts";

/** What stays of a repository. */
export interface Kept {
  /** Its tags. */
  readonly tags: Set<string>;
  /** Its manifests and indexes, and what these list. */
  readonly digests: Set<string>;
}

/** A tag or a manifest that an earlier push wrote, and the config no longer has. */
export interface Pruned {
  /** Its name: with its tag, or else with its digest. */
  readonly target: string;
  /** The digest that the push wrote. */
  readonly digest: string;
  /** What becomes of it: it would be deleted, it is deleted, or it stays. */
  readonly status: "delete" | "deleted" | "kept";
  /** Why it stays. */
  readonly why?: string;
}

/** What a plan says of a tag or a manifest, and what that was then. */
export type Planned = Pick<Pruned, "target" | "digest" | "status">;

/** What pruning takes. */
interface PruneContext {
  /** What pushes have written. */
  readonly state: PushState;
  /** What stays, by path of the repository. */
  readonly keep: ReadonlyMap<string, Kept>;
  /** The registry's host with its port. */
  readonly domain: string;
  /** Asks the registry. */
  readonly sender: Sender;
  /** Has all that may be deleted; absent where nobody has planned it. */
  readonly plan?: readonly Planned[] | undefined;
}

const FOREIGN = "somebody else has pushed to that tag since";
const HELD = "another tag needs it";
const UNPLANNED = "the plan does not have it";

/**
 * Deletes what earlier pushes wrote and the config no longer has. What anybody else has written
 * stays, and so does what is part of it.
 *
 * @param context What they wrote, and what stays.
 * @param isDry Whether it only tells what it would do.
 * @returns What became of each, repository by repository.
 * @throws {PushError} If the registry does not answer, or forbids it.
 */
export async function prune(context: PruneContext, isDry: boolean): Promise<Pruned[]> {
  const { state, keep, domain, sender, plan } = context;
  const planned = plan && new Set(
    plan.filter(({ status }) => status === "delete").map(({ target, digest }) =>
      `${target} ${digest}`
    ),
  );
  const pruned: Pruned[] = [];
  for (const [path, { tags, manifests }] of state.repositories) {
    const kept = keep.get(path) ?? { tags: new Set(), digests: new Set() };
    const gone = {
      tags: Object.entries(tags).filter(([tag]) => !kept.tags.has(tag)),
      digests: manifests.filter((digest) => !kept.digests.has(digest)),
    };
    if (gone.tags.length + gone.digests.length === 0) continue;
    const isPlanned = (name: { tag: string } | { digest: string }, digest: string) =>
      planned?.has(`${formatReference({ domain, path, ...name })} ${digest}`) ?? true;
    const oldTags = gone.tags.filter(([tag, digest]) => isPlanned({ tag }, digest));
    const ofTags = new Set(oldTags.map(([, digest]) => digest)); // they go with their tags
    const oldDigests = gone.digests.filter((digest) =>
      ofTags.has(digest) || isPlanned({ digest }, digest)
    );
    const item = { key: `prune/${path}`, name: path };
    const to: SendTo = { item, target: { domain, path }, action: "prune" };
    const unplanned = gone.digests.filter((digest) => !oldDigests.includes(digest));
    const { held, foreign } = await look(to, new Map(oldTags), kept, unplanned, sender);
    const tell = (name: { tag: string } | { digest: string }, digest: string, why?: string) => {
      const target = formatReference({ domain, path, ...name });
      const status = why !== undefined ? "kept" : isDry ? "delete" : "deleted";
      pruned.push({ target, digest, status, ...(why !== undefined && { why }) });
    };
    const later = gone.tags.filter(([tag, digest]) => !isPlanned({ tag }, digest));
    for (const [tag, digest] of later) tell({ tag }, digest, UNPLANNED);
    for (const digest of unplanned) {
      if (later.every(([, other]) => other !== digest)) tell({ digest }, digest, UNPLANNED);
    }
    const named = new Set<string>();
    for (const [tag, digest] of oldTags) {
      if (!foreign.has(tag) && !held.has(digest)) {
        named.add(digest); // its tags go with it
        tell({ tag }, digest);
        continue;
      }
      tell({ tag }, digest, foreign.has(tag) ? FOREIGN : HELD);
      if (foreign.has(tag) && !isDry) await state.forget(path, tag);
    }
    for (const digest of oldDigests) {
      if (!named.has(digest)) tell({ digest }, digest, held.has(digest) ? HELD : undefined);
    }
    if (isDry) continue;
    // An index before its images, as some registries delete nothing that is part of one.
    const all = [...named, ...oldDigests.filter((digest) => !named.has(digest))];
    for (const digest of all.filter((digest) => !held.has(digest))) {
      await remove({ ...to, target: { domain, path, digest } }, sender);
      await state.forget(path, digest);
    }
  }
  return pruned;
}

/** Finds what tags and manifests need that stay, and which old tags are somebody else's now. */
async function look(
  to: SendTo,
  old: ReadonlyMap<string, string>,
  kept: Kept,
  others: readonly string[],
  sender: Sender,
): Promise<{ readonly held: ReadonlySet<string>; readonly foreign: ReadonlySet<string> }> {
  const held = new Set(kept.digests);
  const foreign = new Set<string>();
  for (const digest of others) {
    const bytes = await sender.read(to, digest);
    if (bytes) await hold(to, bytes, held, sender);
  }
  for (const tag of await sender.tags(to)) {
    if (kept.tags.has(tag)) continue; // it stands for what is kept
    const bytes = await sender.read(to, tag);
    if (!bytes) continue;
    if (digestOf(bytes) === old.get(tag)) continue;
    if (old.has(tag)) foreign.add(tag);
    await hold(to, bytes, held, sender);
  }
  return { held, foreign };
}

/** An index needs what it lists, to any depth. */
async function hold(
  to: SendTo,
  bytes: Uint8Array,
  held: Set<string>,
  sender: Sender,
): Promise<void> {
  held.add(digestOf(bytes));
  const read = readManifest(bytes);
  if (read.kind === "image") return;
  if (read.kind === "invalid") throw refuse(to, "a tag of it is nothing that can be understood");
  for (const { digest } of read.index.manifests) {
    if (held.has(digest)) continue;
    held.add(digest);
    const inner = await sender.read(to, digest);
    if (inner) await hold(to, inner, held, sender);
  }
}

async function remove(to: SendTo, sender: Sender): Promise<void> {
  if (await sender.remove(to)) return;
  throw refuse(to, "the registry forbids to delete", {
    hint: "allow it there (docker-registry: REGISTRY_STORAGE_DELETE_ENABLED=true), or leave " +
      "--prune out",
  });
}

function refuse({ item, target }: SendTo, why: string, options = {}): PushError {
  return new PushError(item.name, formatReference(target), why, { ...options, doing: "prune" });
}
