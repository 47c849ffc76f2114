import { Buffer } from "node:buffer";
import { createHmac, timingSafeEqual } from "node:crypto";
import * as v from "valibot";
import { closed, Digest } from "../../../config/schema_parts.ts";
import type { ErrorCode } from "../../errors/mod.ts";
import type { NoticeEvent } from "../../events.ts";
import { LockSchema } from "../../graph/lock_schema.ts";

/** Grows when other messages are sent, so that workers of another version never see these. */
export const PROTOCOL = 1;

const Text = v.string();
/** A code of the same protocol, of whichever version of stowage. */
const isCode = (value: unknown) => typeof value === "string" && /^[A-Z][A-Z_]*$/.test(value);
const Key = v.pipe(Text, v.regex(/^(source|stage)\/./));
const Size = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const Id = v.pipe(Text, v.regex(/^[\da-f]{64}$/));
const Item = { key: v.pipe(Text, v.regex(/^(source|input|stage)\/./)), name: Text };

/** What all jobs of a run have in common. */
export const RunSchema = closed({
  kind: v.literal("run"),
  run: Text,
  /** What `compile()` checks. */
  config: v.record(Text, v.unknown()),
  lock: v.exactOptional(LockSchema),
  platform: Text,
  epoch: Size,
  /** Trees that are wanted in any case: names of stages, or all. */
  kept: v.union([v.literal("all"), v.array(Text)]),
});
/** What all jobs of a run have in common. */
export type RunMessage = v.InferOutput<typeof RunSchema>;

/** A job: one node of the graph. */
export const JobSchema = closed({
  kind: v.literal("job"),
  run: Text,
  key: Key,
  /** Digests that the client has found, by key of their sources. */
  pins: v.record(Key, Digest),
});
/** A job: one node of the graph. */
export type JobMessage = v.InferOutput<typeof JobSchema>;

const Image = {
  ...Item,
  status: v.picklist(["cached", "fetched"]),
  id: Digest,
  digest: Digest,
  manifest: Digest,
  platform: Text,
  path: Text,
  size: Size,
  from: v.exactOptional(Text),
};
const Stage = { ...Item, status: v.picklist(["cached", "ran"]), id: Id };

/** How a job has ended. */
export const EndSchema = v.variant("kind", [
  closed({
    kind: v.literal("done"),
    run: Text,
    worker: Text,
    key: Key,
    /** The digest that a source is pinned to from now on: that of its index, where it keeps one. */
    digest: v.exactOptional(Digest),
    stages: v.exactOptional(v.array(closed(Stage))),
  }),
  closed({
    kind: v.literal("failed"),
    run: Text,
    worker: Text,
    /** What failed of it: of a pipeline, one of its stages; absent where the job cannot be read. */
    key: v.exactOptional(v.pipe(Text, v.regex(/^(source|input|stage)\/./))),
    error: v.looseObject({
      code: v.custom<ErrorCode>(isCode),
      message: Text,
      hint: v.exactOptional(Text),
    }),
  }),
]);
/** How a job has ended. */
export type EndMessage = v.InferOutput<typeof EndSchema>;

const Bytes = { bytes: Size, fetched: Size, shared: Size, resumed: Size };

/** What of a worker's events is of use elsewhere. */
export const EventSchema = v.variant("type", [
  closed({
    type: v.literal("notice"),
    code: v.custom<NoticeEvent["code"]>(isCode),
    message: Text,
    keys: v.exactOptional(v.array(Text)),
  }),
  closed({ type: v.literal("resolved"), ...Item, from: Text, digest: Digest }),
  closed({ type: v.literal("progress"), ...Item, ...Bytes, total: v.exactOptional(Size) }),
  closed({
    type: v.literal("traffic"),
    ...Bytes,
    total: Size,
    rate: v.number(),
  }),
  closed({
    type: v.literal("retry"),
    ...Item,
    from: Text,
    attempt: Size,
    attempts: Size,
    reason: Text,
  }),
  closed({
    type: v.literal("absent"),
    ...Item,
    from: Text,
    reason: v.picklist(["unreachable", "unknown", "denied", "rate-limited", "stalled", "offline"]),
    message: Text,
  }),
  closed({ type: v.literal("image"), ...Image }),
  closed({ type: v.literal("stage-start"), ...Item }),
  closed({ type: v.literal("stage"), ...Stage }),
  closed({
    type: v.literal("worker"),
    status: v.picklist(["begun", "done", "failed", "returned"]),
    worker: Text,
    queue: Text,
    run: Text,
    key: Text,
  }),
]);
/** An event that is passed on. */
export type PassedEvent = v.InferOutput<typeof EventSchema>;

/** What has happened on a worker. */
export const ToldSchema = closed({
  kind: v.literal("told"),
  run: Text,
  worker: Text,
  events: v.array(EventSchema),
});

/** What concerns all workers at once. */
export const ControlSchema = v.variant("kind", [
  /** Nobody waits for the run any more. */
  closed({ kind: v.literal("over"), run: Text }),
  /** A host wants to be left alone. */
  closed({ kind: v.literal("pause"), host: Text, ms: Size, until: Size, from: Text }),
]);
/** What concerns all workers at once. */
export type ControlMessage = v.InferOutput<typeof ControlSchema>;

/** What is sent. */
export type Message =
  | RunMessage
  | JobMessage
  | EndMessage
  | v.InferOutput<typeof ToldSchema>
  | ControlMessage;

const EnvelopeSchema = closed({ text: Text, mac: v.exactOptional(Text) });

/** Writes messages, and reads those that may be trusted. */
export class Seal {
  /**
   * @param secret What messages are signed with; all are taken as they are if absent.
   */
  constructor(private readonly secret: Uint8Array | undefined) {}

  /** Whether messages are signed. */
  get isKeyed(): boolean {
    return this.secret !== undefined;
  }

  /**
   * Writes a message.
   *
   * @param message The message, as plain data.
   * @returns Its text, signed.
   */
  close(message: Message): string {
    const text = JSON.stringify(message);
    const mac = this.#sign(text);
    return JSON.stringify({ text, ...(mac && { mac: mac.toString("hex") }) });
  }

  /**
   * Reads a message.
   *
   * @param schema What it has to be.
   * @param sealed Its text.
   * @returns The message, or why it is not taken, to follow "it".
   */
  open<Schema extends v.GenericSchema>(
    schema: Schema,
    sealed: unknown,
  ): { readonly message: v.InferOutput<Schema> } | { readonly reason: string } {
    const envelope = v.safeParse(EnvelopeSchema, parse(sealed));
    if (!envelope.success) return { reason: "is no message of stowage" };
    const { text, mac = "" } = envelope.output;
    const right = this.#sign(text);
    if (right) {
      const given = Buffer.from(mac, "hex");
      const isSigned = given.length === right.length && timingSafeEqual(given, right);
      if (!isSigned) return { reason: "is not signed with the same queue key" };
    }
    const read = v.safeParse(schema, parse(text));
    if (read.success) return { message: read.output };
    const [issue] = read.issues;
    return { reason: `says what cannot be: ${v.getDotPath(issue) ?? "it"}: ${issue.message}` };
  }

  #sign(text: string): Buffer | undefined {
    return this.secret && createHmac("sha256", this.secret).update(text).digest();
  }
}

function parse(text: unknown): unknown {
  try {
    return typeof text === "string" ? JSON.parse(text) : undefined;
  } catch {
    return undefined;
  }
}
