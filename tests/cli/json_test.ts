import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import * as v from "valibot";
import { jsonLines, stowage, writeConfig } from "./cli.ts";
import { appsFixture, source } from "./fixture.ts";

const Digest = v.pipe(v.string(), v.regex(/^sha256:[0-9a-f]{64}$/));
const Bytes = v.pipe(v.number(), v.integer(), v.minValue(0));
const Platform = v.pipe(v.string(), v.regex(/^linux\/\w+$/));
const Reason = v.picklist([
  "unreachable",
  "unknown",
  "denied",
  "rate-limited",
  "stalled",
  "offline",
]);
const ErrorSchema = v.looseObject({
  code: v.pipe(v.string(), v.regex(/^[A-Z_]+$/)),
  message: v.string(),
  hint: v.optional(v.string()),
});
const item = { key: v.pipe(v.string(), v.regex(/^(source|input|stage)\/./)), name: v.string() };
const image = {
  ...item,
  status: v.picklist(["cached", "fetched"]),
  id: Digest,
  digest: Digest,
  manifest: Digest,
  platform: Platform,
  path: v.string(),
  size: Bytes,
  from: v.optional(v.string()),
  index: v.optional(v.strictObject({ digest: Digest, path: v.string() })),
};
const stored = {
  id: Digest,
  digest: v.optional(Digest),
  names: v.array(v.string()),
  references: v.array(v.string()),
  platform: v.optional(Platform),
  formats: v.array(v.picklist(["dir", "docker-archive", "index"])),
  complete: v.boolean(),
  size: Bytes,
  own: Bytes,
  fetched: v.optional(v.pipe(v.string(), v.isoTimestamp())),
  used: v.optional(v.pipe(v.string(), v.isoTimestamp())),
  path: v.string(),
};
const finding = {
  kind: v.picklist([
    "archive",
    "blob",
    "config",
    "diff-id",
    "docker-archive",
    "folder",
    "image",
    "index",
    "layer",
    "manifest",
    "tree",
  ]),
  problem: v.picklist(["missing", "size", "content", "format", "link", "unreadable"]),
  message: v.string(),
  path: v.string(),
  links: v.array(v.string()),
  digest: v.optional(Digest),
  id: v.optional(v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/))),
  stage: v.optional(v.string()),
  entries: v.array(Digest),
  quarantine: v.optional(v.string()),
};
const repaired = { ...finding, from: v.optional(v.string()) };
const left = { ...finding, reason: v.string() };
const place = { ...item, from: v.string() };
const counts = { bytes: Bytes, fetched: Bytes, shared: Bytes, resumed: Bytes };
const Kind = v.picklist([
  "image",
  "tree",
  "archive",
  "blob",
  "partial",
  "quarantine",
  "workspace",
]);
const garbage = {
  kind: Kind,
  name: v.string(),
  origin: v.optional(v.string()),
  used: v.pipe(v.string(), v.isoTimestamp()),
  bytes: Bytes,
};
const type = <const Type extends string>(type: Type) => ({
  type: v.literal(type),
  time: v.pipe(v.string(), v.isoTimestamp()),
});

/** What scripts that read `--json` rely on. */
const EventSchema = v.variant("type", [
  v.strictObject({
    ...type("start"),
    action: v.picklist(["plan", "fetch", "build", "lock", "outdated", "verify", "gc"]),
    sources: v.array(v.string()),
    keys: v.array(v.string()),
    store: v.string(),
  }),
  v.strictObject({
    ...type("notice"),
    code: v.string(),
    message: v.string(),
    keys: v.optional(v.array(v.string())),
  }),
  v.strictObject({
    ...type("resolved"),
    ...place,
    digest: Digest,
    id: v.optional(Digest),
    size: v.optional(Bytes),
  }),
  v.strictObject({
    ...type("progress"),
    ...item,
    ...counts,
    total: v.optional(Bytes),
    waitsFor: v.optional(v.string()),
  }),
  v.strictObject({
    ...type("traffic"),
    ...counts,
    total: Bytes,
    unknown: v.optional(Bytes),
    rate: Bytes,
    left: v.optional(Bytes),
  }),
  v.strictObject({
    ...type("retry"),
    ...place,
    attempt: Bytes,
    attempts: Bytes,
    reason: v.string(),
  }),
  v.strictObject({ ...type("absent"), ...place, reason: Reason, message: v.string() }),
  v.strictObject({ ...type("image"), ...image }),
  v.strictObject({ ...type("stage-start"), ...item }),
  v.strictObject({
    ...type("stage"),
    ...item,
    status: v.picklist(["cached", "ran"]),
    id: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
    tree: v.optional(v.string()),
    images: v.optional(v.array(
      v.strictObject({ name: v.optional(v.string()), id: Digest, digest: Digest }),
    )),
  }),
  v.strictObject({ ...type("skipped"), ...item, because: v.string() }),
  v.strictObject({ ...type("failed"), ...item, error: ErrorSchema }),
  v.strictObject({ ...type("verifying"), bytes: Bytes, total: Bytes }),
  v.strictObject({ ...type("damaged"), ...finding }),
  v.strictObject({ ...type("repaired"), ...repaired }),
  v.strictObject({ ...type("unrepaired"), ...left }),
  v.strictObject({ ...type("garbage"), ...garbage }),
  v.strictObject({
    ...type("garbage-total"),
    things: Bytes,
    bytes: Bytes,
    size: Bytes,
    over: v.optional(Bytes),
  }),
  v.strictObject({ ...type("removed"), kind: Kind, name: v.string(), bytes: Bytes }),
]);

const ResultSchema = v.looseObject({
  type: v.literal("result"),
  duration: Bytes,
  ok: v.boolean(),
  exitCode: v.picklist([0, 1, 2, 3, 130]),
  error: v.optional(ErrorSchema),
});

const { dir, proxy, web: [, arm64], tool, index } = await appsFixture();

describe("--json", () => {
  it("prints an event a line, as documented, and the result at last", async () => {
    const match = new RegExp(`^GET .*/blobs/${tool.layers[1]?.digest}`);
    proxy.rules.push(
      { match, fault: { slow: 800_000 } },
      { match: /^GET .*\/web\/manifests\//, times: 1, fault: { status: 503 } },
    );
    await writeConfig(dir, {
      sources: {
        tool: source(`${proxy.host}/apps/tool:1`, { platform: "linux/amd64" }),
        web: source("127.0.0.1:1/apps/web:1", {
          digest: index.digest,
          platform: "linux/arm64",
          fallback: [source(`${proxy.host}/apps/web:1`)],
        }),
        absent: source(`${proxy.host}/apps/absent:1`),
      },
    });
    const cli = async (...args: string[]) => {
      const { code, stdout, stderr } = await stowage([...args, "--json"], { cwd: dir.path });
      assertEquals(stderr, "");
      const lines = jsonLines(stdout);
      const events = lines.slice(0, -1).map((line) => v.parse(EventSchema, line));
      const result = v.parse(ResultSchema, lines.at(-1));
      assertEquals([result.exitCode, result.ok], [code, code === 0] as const);
      return { events, result, types: new Set(events.map(({ type }) => type)) };
    };

    const plan = await cli("plan", "tool", "web", "--attempts", "2");
    assertEquals([...plan.types].sort(), ["absent", "notice", "resolved", "retry", "start"]);
    assertEquals(plan.result.exitCode, 0);

    const fetched = await cli("fetch", "--attempts", "2");
    assertEquals(
      [...fetched.types].sort(),
      ["absent", "failed", "image", "notice", "progress", "resolved", "retry", "start", "traffic"],
    );
    assertEquals(fetched.events[0]?.type, "start");
    const total = tool.size;
    for (const event of fetched.events) {
      if (event.type === "progress" && event.name === "tool") {
        assertEquals(event.total, total);
        assert(event.bytes <= total);
      }
    }
    const images = v.parse(v.array(v.strictObject(image)), fetched.result["images"]);
    assertEquals(images.map(({ name, id }) => [name, id]), [
      ["tool", tool.id],
      ["web", arm64.id],
    ]);
    assertEquals(
      fetched.events.flatMap((event) => event.type === "image" ? [event.id] : []).sort(),
      images.map(({ id }) => id).sort(),
    );

    const offline = await cli("fetch", "tool", "--offline");
    assertEquals([...offline.types].sort(), ["image", "notice", "start"]);

    const sound = await cli("verify");
    assertEquals([...sound.types].sort(), ["start", "verifying"]);
    assertEquals(sound.result["findings"], []);
    const [{ path = "" } = {}] = images;
    await Deno.truncate(`${path}/${tool.layers[1]?.digest.slice(7)}`, 1);
    await Deno.remove(`${images[1]?.path}/manifest.json`);
    const spoilt = await cli("verify");
    assertEquals([...spoilt.types].sort(), ["damaged", "start", "verifying"]);
    assertEquals(spoilt.result.exitCode, 3);
    const findings = v.parse(v.array(v.strictObject(finding)), spoilt.result["findings"]);
    assertEquals(findings.map(({ problem }) => problem).sort(), ["missing", "size"]);
    const listed = await cli("ls", tool.id.slice(7, 19));
    assertEquals(listed.events, []);
    v.parse(v.tuple([v.strictObject(stored)]), listed.result["images"]);

    const closed = await cli("verify", "--repair", "--offline");
    assertEquals(
      [...closed.types].sort(),
      ["absent", "damaged", "start", "unrepaired", "verifying"],
    );
    assertEquals([closed.result.exitCode, closed.result["repaired"]], [3, []]);
    const repair = await cli("verify", "--repair");
    assertEquals(repair.result.exitCode, 0);
    assert(repair.types.has("repaired") && !repair.types.has("unrepaired"));
    const told = v.parse(v.array(v.strictObject(repaired)), repair.result["repaired"]);
    assertEquals([told.length, repair.result["left"]], [2, []]);

    const locked = await cli("lock", "tool");
    assertEquals([...locked.types].sort(), ["resolved", "start"]);
    assertEquals(Object(locked.result["changes"]).length, 1);
    const outdated = await cli("outdated", "tool");
    assertEquals([[...outdated.types], outdated.result["outdated"]], [["start"], []]);
    const checked = await cli("lock", "--check", "tool");
    assertEquals([[...checked.types], checked.result["ok"]], [[], true]);

    await writeConfig(dir, { sources: { tool: source(tool.reference, { id: tool.id }) } });
    const gone = await cli("gc");
    assertEquals([...gone.types].sort(), ["garbage", "garbage-total", "removed", "start"]);
    const things = v.parse(v.array(v.strictObject(garbage)), gone.result["garbage"]);
    // What `verify` has put aside goes too.
    assertEquals(things.map(({ kind }) => kind), ["quarantine", "image"]);
    assertEquals(things[1]?.name, arm64.id);
    assertEquals(gone.result["freed"], gone.result["bytes"]);
  });
});
