import { isAbsolute } from "@std/path";
import * as v from "valibot";
import {
  formatReference,
  InvalidValueError,
  parseReference,
  type Reference,
} from "../../config/mod.ts";
import { Path } from "../../config/schema_parts.ts";

/** A reference that was recorded: one that can be written and is read as the same again. */
export const RecordedReference = v.pipe(
  v.strictObject({
    domain: v.string(),
    path: v.string(),
    tag: v.exactOptional(v.string()),
    digest: v.exactOptional(v.string()),
  }),
  v.check(isSound),
);

/** A path that was recorded: whoever reads it has another folder that relative ones start from. */
export const RecordedPath = v.pipe(Path, v.check(isAbsolute));

function isSound({ domain, path, tag, digest }: Reference): boolean {
  try {
    const text = formatReference({ domain, path, ...(tag && { tag }), ...(digest && { digest }) });
    const read = parseReference(text);
    return read.domain === domain && read.path === path && read.tag === tag &&
      read.digest === digest;
  } catch (error) {
    if (error instanceof InvalidValueError) return false;
    throw error;
  }
}
