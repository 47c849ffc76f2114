import { resolve } from "@std/path";
import type { DirImage } from "../../config/mod.ts";
import { openFile } from "./file.ts";
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
  read: ({ type, path }) => ({ transport: type, path }),
  format: ({ transport, path }) => `${transport}:${path}`,
  absolute: ({ transport, path }, root) => ({ transport, path: resolve(root, path) }),
  open: ({ transport, path }) =>
    Promise.resolve(openFile(`${transport}:${path}`, { transport, path }, (words) => words)),
});
