import { parse } from "@std/toml/parse";
import { stringify } from "@std/toml/stringify";
import * as v from "valibot";
import { StageError } from "../../errors/mod.ts";
import type { StageContext, StageRunner } from "../stage.ts";
import { CONF, defaultConf, readDropIns, VENDOR_CONF } from "./image_store.ts";
import { addToTree, readInTree, writeWithMode } from "./tree_file.ts";

type Table = Readonly<Record<string, unknown>>;

const TableSchema = v.record(v.string(), v.unknown());

/** Sets what is in the tree's storage.conf; the rest of it stays. */
export const storageConf: StageRunner<"storage-conf"> = async (stage, context) => {
  const { storage, path = CONF } = stage;
  if (path === CONF) await refuseOverridden({ storage }, context);
  const before = await readConf(path, storage.driver ?? "overlay", context);
  const text = stringify(merge(before, { storage }, path, context));
  await addToTree(path, (file) => writeWithMode(file, text, 0o644), context);
};

async function readConf(path: string, driver: string, context: StageContext): Promise<Table> {
  const text = await readInTree(path, context) ?? await readInTree(VENDOR_CONF, context) ??
    defaultConf(driver);
  return parseToml(text, path, context);
}

function parseToml(text: string, path: string, { name }: StageContext): Table {
  try {
    return parse(text);
  } catch (cause) {
    const why = cause instanceof Error ? `: ${cause.message}` : "";
    throw new StageError(name, `the tree's ${path} is no TOML${why}`, { cause });
  }
}

/** Newer engines would not see what another file of the tree says otherwise. */
async function refuseOverridden(wanted: Table, context: StageContext): Promise<void> {
  const merged = (await readDropIns(context)).reduce<Overrides>(
    (all, { path, text }) => ({ ...all, ...leavesOf(parseToml(text, path, context), path) }),
    {},
  );
  for (const [key, { value }] of Object.entries(leavesOf(wanted, CONF))) {
    const other = merged[key];
    if (!other || other.value === value) continue;
    throw new StageError(
      context.name,
      `the tree's ${other.path} says ${key} too, and counts more than ${CONF} since podman 6`,
      { hint: "take it out of that file, or write a file of a later name with path" },
    );
  }
}

/** Settings by their dotted names, as JSON. */
type Overrides = Readonly<Record<string, { readonly value: string; readonly path: string }>>;

function leavesOf(table: Table, path: string, above = ""): Overrides {
  const leaves: Record<string, Overrides[string]> = {};
  for (const [key, value] of Object.entries(table)) {
    const name = above === "" ? key : `${above}.${key}`;
    if (v.is(TableSchema, value) && !Array.isArray(value)) {
      Object.assign(leaves, leavesOf(value, path, name));
    } else leaves[name] = { value: JSON.stringify(value), path };
  }
  return leaves;
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
