import { resolve } from "@std/path";
import {
  formatReference,
  type HostImageInput,
  parseReference,
  parseStorageLocation,
  type StorageLocation,
} from "../../config/mod.ts";
import type { ConfigIssue } from "../errors/mod.ts";
import { hashOf } from "../lib/hash/hash.ts";
import type { InputKind } from "./input_kind.ts";

/** An image in a containers-storage of this machine, after osbuild's source and input of that name. */
export const hostImage: InputKind<HostImageInput> = {
  gives: "images",
  describe: () => "image of this machine",
  needs: () => [],
  check: ({ name }) =>
    [name].flat().flatMap((each): ConfigIssue[] => {
      if (!each.includes("@")) return [];
      const expected = "a name without a digest: a storage keeps no layers as their digests say";
      return [{ path: "name", value: each, expected }];
    }),
  images({ id, name }) {
    const names = [name].flat().map((each) => formatReference(parseReference(each)));
    return [{ source: id, names: [...new Set(names)].sort() }];
  },
  hostImage: (input) => input,
  meaning: ({ id }) => ({ id }),
  async resolve(input, { name, images: [image], root, host }) {
    const { id } = input;
    const names = image?.names ?? [];
    const storage = storageOf(input, root);
    const { digest, platform } = await host({ id, names, storage });
    return {
      // Whatever storage it is in: the copy that a stage gets depends on no more.
      id: hashOf({ kind: "host-image", id, digest, names }),
      input: { name, kind: "host-image", image: { id, names, platform, storage } },
    };
  },
};

function storageOf({ location, driver }: HostImageInput, root: string): StorageLocation {
  const told = location === undefined ? {} : parseStorageLocation(location);
  return {
    ...told,
    ...(driver && { driver }),
    ...(told.root && { root: resolve(root, told.root) }),
    ...(told.runRoot && { runRoot: resolve(root, told.runRoot) }),
  };
}
