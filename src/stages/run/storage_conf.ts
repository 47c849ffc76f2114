import { parse } from "@std/toml/parse";
import { stringify } from "@std/toml/stringify";
import * as v from "valibot";
import { StageError } from "../../errors/mod.ts";
import type { StageContext, StageRunner } from "../stage.ts";
import { CONF, defaultConf, VENDOR_CONF } from "./image_store.ts";
import { addToTree, readInTree, writeWithMode } from "./tree_file.ts";

type Table = Readonly<Record<string, unknown>>;

const TableSchema = v.record(v.string(), v.unknown());

/** Sets what is in the tree's storage.conf; the rest of it stays. */
export const storageConf: StageRunner<"storage-conf"> = async (stage, context) => {
  const { storage, path = CONF } = stage;
  const before = await readConf(path, storage.driver ?? "overlay", context);
  const text = stringify(merge(before, { storage }, path, context));
  await addToTree(path, (file) => writeWithMode(file, text, 0o644), context);
};

async function readConf(path: string, driver: string, context: StageContext): Promise<Table> {
  const text = await readInTree(path, context) ?? await readInTree(VENDOR_CONF, context) ??
    defaultConf(driver);
  try {
    return parse(text);
  } catch (cause) {
    const why = cause instanceof Error ? `: ${cause.message}` : "";
    throw new StageError(context.name, `the tree's ${path} is no TOML${why}`, { cause });
  }
}

/** The new over the old, table by table; lists are taken as a whole. */
function merge(before: Table, after: Table, path: string, context: StageContext): Table {
  const merged: Record<string, unknown> = { ...before };
  for (const [key, value] of Object.entries(after)) {
    const old = before[key];
    if (!v.is(TableSchema, value) || Array.isArray(value) || old === undefined) {
      merged[key] = value;
    } else if (v.is(TableSchema, old) && !Array.isArray(old)) {
      merged[key] = merge(old, value, path, context);
    } else {
      throw new StageError(context.name, `the tree's ${path} has no table where "${key}" is one`);
    }
  }
  return merged;
}
