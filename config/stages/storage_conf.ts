import * as v from "valibot";
import type { InPlace } from "../in_place.ts";
import type { Same } from "../same.ts";
import { closed, described, Strings, TreePath } from "../schema_parts.ts";
import { stageEntries, type StageOptions } from "./stage_options.ts";

/** `[storage.options.pull_options]` of a storage.conf. */
export interface PullOptions {
  /** Whether only what is missing of a layer is pulled. */
  readonly enable_partial_images?: "true" | "false";
  /** Whether equal files share their blocks by hard links. */
  readonly use_hard_links?: "true" | "false";
  /** OSTree repositories where files may be found, with colons between them. */
  readonly ostree_repos?: string;
  /** Whether images are converted so that only what is missing has to be pulled. */
  readonly convert_images?: "true" | "false";
  /** Whether layers count that others may read as other files than this machine. */
  readonly insecure_allow_unpredictable_image_contents?: "true" | "false";
}

/** `[storage.options.overlay]` of a storage.conf. */
export interface OverlayOptions {
  /** Program that mounts overlay in place of the kernel. */
  readonly mount_program?: string;
  /** Options of mounts, with commas between them. */
  readonly mountopt?: string;
  /** How large a container may grow. */
  readonly size?: string;
  /** How many inodes a container may have. */
  readonly inodes?: string;
  /** Mode that all files of layers get: `private`, `shared` or octal digits. */
  readonly force_mask?: string;
  /** Whether owners that cannot be set are passed over. */
  readonly ignore_chown_errors?: "true" | "false";
  /** Whether the home of the storage is not mounted over itself. */
  readonly skip_mount_home?: "true" | "false";
  /** Whether layers are composefs images. */
  readonly use_composefs?: "true" | "false";
  /** How layers get to the disk as they are made. */
  readonly sync?: string;
}

/** `[storage.options.vfs]` of a storage.conf. */
export interface VfsOptions {
  /** Whether owners that cannot be set are passed over. */
  readonly ignore_chown_errors?: "true" | "false";
  /** How layers get to the disk as they are made. */
  readonly sync?: string;
}

/** `[storage.options.btrfs]` of a storage.conf. */
export interface BtrfsOptions {
  /** How much of a volume stays free. */
  readonly min_space?: string;
  /** How large an image may be. */
  readonly size?: string;
}

/** `[storage.options.zfs]` of a storage.conf. */
export interface ZfsOptions {
  /** The file system that datasets are made in. */
  readonly fsname?: string;
  /** Options of mounts, with commas between them. */
  readonly mountopt?: string;
  /** How large an image may be. */
  readonly size?: string;
}

/** `[storage.options]` of a storage.conf. */
export interface StorageConfOptions {
  /** Storages that images are looked for in as well; they are not written. */
  readonly additionalimagestores?: readonly string[];
  /** Storages that layers are looked for in as well. */
  readonly additionallayerstores?: readonly string[];
  /** Settings of pulls. */
  readonly pull_options?: PullOptions;
  /** Settings of the overlay driver. */
  readonly overlay?: OverlayOptions;
  /** Settings of the vfs driver. */
  readonly vfs?: VfsOptions;
  /** Settings of the btrfs driver. */
  readonly btrfs?: BtrfsOptions;
  /** Settings of the zfs driver. */
  readonly zfs?: ZfsOptions;
  /**
   * User ids in containers and on the machine: threes of numbers such as `0:100000:65536`, with
   * colons between them.
   */
  readonly "remap-uids"?: string;
  /** Group ids in containers and on the machine. */
  readonly "remap-gids"?: string;
  /** User whose ranges of `/etc/subuid` containers get. */
  readonly "remap-user"?: string;
  /** Group whose ranges of `/etc/subgid` containers get. */
  readonly "remap-group"?: string;
  /** User whose ranges are shared out to containers with `--userns=auto`. */
  readonly "root-auto-userns-user"?: string;
  /** How many ids a container with `--userns=auto` gets at least. */
  readonly "auto-userns-min-size"?: number;
  /** How many ids a container with `--userns=auto` gets at most. */
  readonly "auto-userns-max-size"?: number;
  /** Whether what containers write has to get to the disk at once. */
  readonly "disable-volatile"?: boolean;
  /** Where images are, where that is not the graph root. */
  readonly imagestore?: string;
  /** How large a container may grow, whichever driver it has. */
  readonly size?: string;
  /** Program that mounts, whichever driver there is. */
  readonly mount_program?: string;
  /** Options of mounts, whichever driver there is. */
  readonly mountopt?: string;
  /** Whether owners that cannot be set are passed over. */
  readonly ignore_chown_errors?: "true" | "false";
  /** Whether the home of the storage is not mounted over itself. */
  readonly skip_mount_home?: "true" | "false";
  /** Whether layers are composefs images. */
  readonly use_composefs?: "true" | "false";
}

/** `[storage]` of a storage.conf, as containers-storage.conf(5) has it. */
export interface StorageTable {
  /** Storage driver. */
  readonly driver?: "overlay" | "vfs" | "btrfs" | "zfs";
  /** Which drivers are tried, in this order, where none is said. */
  readonly driver_priority?: readonly string[];
  /** Where images and containers are. */
  readonly graphroot?: string;
  /** Where what need not outlive a boot is. */
  readonly runroot?: string;
  /** Where images are, where that is not the graph root. */
  readonly imagestore?: string;
  /** Graph root of other users than root; `$HOME`, `$UID` and `$USER` are replaced. */
  readonly rootless_storage_path?: string;
  /** Whether containers are gone after a boot. */
  readonly transient_store?: boolean;
  /** Further settings. */
  readonly options?: StorageConfOptions;
}

/** Options of {@linkcode storageConf}. */
export interface StorageConfStageOptions {
  /** What is set, in the words of containers-storage.conf(5); all else in the file stays. */
  readonly storage: StorageTable;
  /** The file in the tree; `/etc/containers/storage.conf` if absent. */
  readonly path?: string;
}

/** A stage that sets what is in a tree's `storage.conf`, as plain data. */
export interface StorageConfStage<I extends string = string, S extends string = string>
  extends Partial<StageOptions<I, S>>, StorageConfStageOptions {
  /** The literal that tells stages apart. */
  readonly type: "storage-conf";
}

/** What {@linkcode storageConf} returns where it stands in its config. */
export interface StorageConfInPlace<I extends string, S extends string>
  extends StorageConfStage<I, S>, InPlace {}

const text = (does: string) => v.exactOptional(described(v.string(), does));
const texts = (does: string) => v.exactOptional(described(v.array(v.string()), does));
const onOff = (does: string) => v.exactOptional(described(v.picklist(["true", "false"]), does));

const PullSchema = closed({
  enable_partial_images: onOff("Whether only what is missing of a layer is pulled"),
  use_hard_links: onOff("Whether equal files share their blocks by hard links"),
  ostree_repos: text("OSTree repositories where files may be found, with colons between them"),
  convert_images: onOff("Whether images are converted so that only what is missing is pulled"),
  insecure_allow_unpredictable_image_contents: onOff(
    "Whether layers count that others may read as other files than this machine",
  ),
});

const both = {
  ignore_chown_errors: onOff("Whether owners that cannot be set are passed over"),
  sync: text("How layers get to the disk as they are made"),
};
const imageSize = text("How large an image may be");
const mountopt = text("Options of mounts, with commas between them");

const OverlaySchema = closed({
  mount_program: text("Program that mounts overlay in place of the kernel"),
  mountopt,
  size: text("How large a container may grow"),
  inodes: text("How many inodes a container may have"),
  force_mask: text("Mode that all files of layers get: private, shared or octal digits"),
  skip_mount_home: onOff("Whether the home of the storage is not mounted over itself"),
  use_composefs: onOff("Whether layers are composefs images"),
  ...both,
});
const VfsSchema = closed(both);
const BtrfsSchema = closed({
  min_space: text("How much of a volume stays free"),
  size: imageSize,
});
const ZfsSchema = closed({
  fsname: text("The file system that datasets are made in"),
  mountopt,
  size: imageSize,
});

const ids = (whose: string) =>
  v.exactOptional(described(
    v.pipe(
      v.string(),
      v.regex(/^\d+(?::\d+:\d+:\d+)*:\d+:\d+$/, "threes of ids as 0:100000:65536"),
    ),
    `${whose} ids in containers and on the machine`,
  ));
const count = (does: string) =>
  v.exactOptional(described(
    v.pipe(
      v.number("a number"),
      v.integer("a whole number"),
      v.minValue(1, "1 or more"),
      v.maxValue(2 ** 32 - 1, "at most 4294967295"),
    ),
    does,
  ));

/** The schema of {@linkcode StorageTable}. */
export const StorageTableSchema = closed({
  driver: v.exactOptional(
    described(v.picklist(["overlay", "vfs", "btrfs", "zfs"]), "Storage driver"),
  ),
  driver_priority: texts("Which drivers are tried, in this order, where none is said"),
  graphroot: text("Where images and containers are"),
  runroot: text("Where what need not outlive a boot is"),
  imagestore: text("Where images are, where that is not the graph root"),
  rootless_storage_path: text("Graph root of other users than root"),
  transient_store: v.exactOptional(
    described(v.boolean(), "Whether containers are gone after a boot"),
  ),
  options: v.exactOptional(described(
    closed({
      additionalimagestores: texts("Storages that images are looked for in as well"),
      additionallayerstores: texts("Storages that layers are looked for in as well"),
      pull_options: v.exactOptional(described(PullSchema, "Settings of pulls")),
      overlay: v.exactOptional(described(OverlaySchema, "Settings of the overlay driver")),
      vfs: v.exactOptional(described(VfsSchema, "Settings of the vfs driver")),
      btrfs: v.exactOptional(described(BtrfsSchema, "Settings of the btrfs driver")),
      zfs: v.exactOptional(described(ZfsSchema, "Settings of the zfs driver")),
      "remap-uids": ids("User"),
      "remap-gids": ids("Group"),
      "remap-user": text("User whose ranges of /etc/subuid containers get"),
      "remap-group": text("Group whose ranges of /etc/subgid containers get"),
      "root-auto-userns-user": text(
        "User whose ranges are shared out to containers with --userns=auto",
      ),
      "auto-userns-min-size": count("How many ids a container with --userns=auto gets at least"),
      "auto-userns-max-size": count("How many ids a container with --userns=auto gets at most"),
      "disable-volatile": v.exactOptional(
        described(v.boolean(), "Whether what containers write has to get to the disk at once"),
      ),
      imagestore: text("Where images are, where that is not the graph root"),
      size: text("How large a container may grow, whichever driver it has"),
      mount_program: text("Program that mounts, whichever driver there is"),
      mountopt: text("Options of mounts, whichever driver there is"),
      ignore_chown_errors: onOff("Whether owners that cannot be set are passed over"),
      skip_mount_home: onOff("Whether the home of the storage is not mounted over itself"),
      use_composefs: onOff("Whether layers are composefs images"),
    }),
    "Further settings",
  )),
});
true satisfies Same<v.InferOutput<typeof StorageTableSchema>, StorageTable>;

/** The schema of {@linkcode StorageConfStage}. */
export const StorageConfSchema = closed({
  ...stageEntries,
  inputs: v.exactOptional(
    described(v.pipe(Strings, v.maxLength(0, "no inputs, as it reads none")), "None"),
  ),
  type: described(v.literal("storage-conf"), "The literal that tells stages apart"),
  path: v.exactOptional(
    described(TreePath, "The file in the tree; `/etc/containers/storage.conf` if absent"),
  ),
  storage: described(StorageTableSchema, "What is set, in the words of containers-storage.conf(5)"),
});
true satisfies Same<v.InferOutput<typeof StorageConfSchema>, StorageConfStage>;

/**
 * Sets what is in a tree's `storage.conf`, as osbuild's `org.osbuild.containers.storage.conf` does:
 * what the file has beside that stays, its comments do not. Without a file, it begins with that of
 * `/usr/share/containers`, if there is one.
 *
 * @param options The tree that it continues, and what is set.
 * @returns The stage, as plain data.
 *
 * @example Usage
 * ```ts
 * import { copyTree, defineConfig, storageConf, tree } from "@stowage/stowage";
 *
 * export default defineConfig({
 *   inputs: { rootfs: tree("rootfs") },
 *   stages: {
 *     base: copyTree({ inputs: ["rootfs"] }),
 *     os: storageConf({
 *       on: "base",
 *       storage: { driver: "overlay", graphroot: "/data/containers", runroot: "/run/containers" },
 *     }),
 *   },
 * });
 * ```
 */
export function storageConf<S extends string = never>(
  options: Pick<Partial<StageOptions<never, NoInfer<S>>>, "on"> & StorageConfStageOptions,
): StorageConfInPlace<never, S>;
/**
 * The same by itself: its names are checked when it is put into a config.
 *
 * @param options As above.
 * @returns The stage, as plain data.
 */
export function storageConf<const S extends string = never>(
  options: Pick<Partial<StageOptions<never, S>>, "on"> & StorageConfStageOptions,
): StorageConfStage<never, S>;
export function storageConf(
  options: Pick<Partial<StageOptions>, "on"> & StorageConfStageOptions,
): StorageConfStage {
  return { type: "storage-conf", ...options };
}
