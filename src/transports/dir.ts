import { resolve } from "@std/path";
import * as v from "valibot";
import type { DirImage } from "../../config/mod.ts";
import { openFile } from "./file.ts";
import { RecordedPath } from "./recorded.ts";
import { defineTransport } from "./transport.ts";

/** Where a folder of the `dir` transport is. */
export interface DirLocation {
  /** The transport. */
  readonly transport: "dir";
  /** The folder, absolute or relative to the config. */
  readonly path: string;
}

/** Folders of the `dir` transport. */
export const dir = defineTransport<DirImage, DirLocation>({
  builder: () => ({ name: "fromDir", first: "path" }),
  read: ({ type, path }) => ({ transport: type, path }),
  format: ({ transport, path }) => `${transport}:${path}`,
  absolute: ({ transport, path }, root) => ({ transport, path: resolve(root, path) }),
  recorded: v.strictObject({ transport: v.literal("dir"), path: RecordedPath }),
  open: ({ transport, path }) =>
    Promise.resolve(openFile(`${transport}:${path}`, { transport, path }, (words) => words)),
});
