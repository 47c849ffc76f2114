import { dirname, join } from "@std/path";
import * as v from "valibot";
import type { ArtifactsInput } from "../../config/mod.ts";
import { StageError } from "../errors/mod.ts";
import type { ArtifactResult } from "../events.ts";
import { readRegular } from "../lib/fs/outside_file.ts";
import { MAX_JSON, readJson } from "../lib/json.ts";
import { hashOf } from "../lib/hash/hash.ts";
import type { InputContext, InputKind } from "./input_kind.ts";

/** Raise it when the same artifact gives another tree. */
const FORMAT = 1;

/** What is read of a manifest to name its files. */
const ManifestSchema = v.object({
  config: v.object({ mediaType: v.fallback(v.string(), ""), digest: v.string() }),
  layers: v.nullish(
    v.array(v.object({
      mediaType: v.fallback(v.string(), ""),
      digest: v.string(),
      annotations: v.fallback(v.optional(v.record(v.string(), v.string())), undefined),
    })),
    [],
  ),
});

const WORD = v.pipe(v.string(), v.regex(/^[A-Za-z0-9][\w.+-]*$/));
/** https://helm.sh/docs/topics/registries/#helm-chart-manifest */
const ChartSchema = v.object({ name: WORD, version: WORD });
const CHART_CONFIG = "application/vnd.cncf.helm.config.v1+json";
const CHART_LAYER = /^application\/(?:vnd\.cncf\.helm\.chart\.content\.v1\.tar\+gzip|tar\+gzip)$/;
const TITLE = "org.opencontainers.image.title";

/** Files of artifacts, a folder for each source. */
export const artifacts: InputKind<ArtifactsInput> = {
  gives: "trees",
  describe: () => "artifacts",
  needs: ({ artifacts }) =>
    artifacts.map((name, index) => ({ section: "sources", name, path: `artifacts.${index}` })),
  check: ({ artifacts }, around) =>
    artifacts.flatMap((name, index) => {
      if (around.isArtifact(name) !== false) return [];
      const expected = "a source that is an artifact; images() reads this one";
      return [{ path: `artifacts.${index}`, value: name, expected }];
    }),
  images: () => [],
  meaning: () => ({ format: FORMAT }),
  async resolve(_input, context) {
    const { name, needs, artifact } = context;
    const found = needs.flatMap((key) => artifact(key) ?? []);
    const id = hashOf({
      kind: "artifacts",
      format: FORMAT,
      artifacts: found.map(({ name, digest }) => [name, digest]),
    });
    const path = await context.scratch();
    for (const each of found) await unpack(each, path, context);
    return { id, input: { name, kind: "tree", path } };
  },
};

async function unpack(artifact: ArtifactResult, tree: string, context: InputContext) {
  const { epoch = 0, signal } = context;
  // What has a tag by a rule is in a folder of that name.
  const folder = join(tree, artifact.name.replace(":", "/"));
  await Deno.mkdir(folder, { recursive: true, mode: 0o755 });
  for (const [file, digest] of await filesOf(artifact, context)) {
    signal.throwIfAborted();
    const to = join(folder, file);
    await Deno.mkdir(dirname(to), { recursive: true, mode: 0o755 });
    await Deno.copyFile(blobOf(artifact, digest), to);
    await Deno.chmod(to, 0o644);
    await Deno.utime(to, epoch, epoch);
  }
}

/** The digests of files by what they are called; names are others' words. */
async function filesOf(
  artifact: ArtifactResult,
  { name }: InputContext,
): Promise<ReadonlyMap<string, string>> {
  const refuse = (why: string) =>
    new StageError(name, `the artifact "${artifact.name}" ${why}`, {
      kind: "input",
      hint: "look at it with `oras manifest fetch`, and tell who made it",
    });
  const read = await readAs(ManifestSchema, join(artifact.path, "manifest.json"));
  if (!read) throw refuse("has a manifest that says nothing of files");
  const chart = read.config.mediaType === CHART_CONFIG
    ? await readAs(ChartSchema, blobOf(artifact, read.config.digest))
    : undefined;
  const files = new Map<string, string>();
  for (const { mediaType, digest, annotations } of read.layers) {
    const ofChart = chart && CHART_LAYER.test(mediaType)
      ? `${chart.name}-${chart.version}.tgz`
      : undefined;
    const file = annotations?.[TITLE] ?? ofChart ?? digest.replace("sha256:", "");
    if (!isInside(file)) throw refuse(`has a file ${JSON.stringify(file.slice(0, 200))}`);
    if (files.has(file)) throw refuse(`has two files ${JSON.stringify(file)}`);
    files.set(file, digest);
  }
  return files;
}

/** A path that stays in its folder, and that every system takes. */
function isInside(path: string): boolean {
  const names = path.split("/");
  return path.isWellFormed() && !/\p{Cc}/u.test(path) &&
    names.every((name) => name !== "" && name !== "." && name !== ".." && name.length <= 255);
}

function blobOf({ path }: ArtifactResult, digest: string): string {
  return join(path, digest.replace("sha256:", ""));
}

async function readAs<Schema extends v.GenericSchema>(
  schema: Schema,
  path: string,
): Promise<v.InferOutput<Schema> | undefined> {
  const bytes = await readRegular(path, MAX_JSON);
  const read = bytes && readJson(bytes);
  const parsed = read && "json" in read ? v.safeParse(schema, read.json) : undefined;
  return parsed?.success ? parsed.output : undefined;
}
