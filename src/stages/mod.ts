import type { Stage, StageOf } from "../../config/mod.ts";
import { containerLoader } from "./container_loader.ts";
import { copyTree } from "./copy_tree.ts";
import { dockerArchive } from "./docker_archive.ts";
import { exec } from "./exec.ts";
import { install } from "./install.ts";
import { ociArchive } from "./oci_archive.ts";
import { quadlet } from "./quadlet.ts";
import { ABILITIES, type Ability, type Filled, type StageKind } from "./stage_kind.ts";
import { storageConf } from "./storage_conf.ts";
import { unpack } from "./unpack.ts";

export { ABILITIES, type Ability };
export type { StageContext } from "./stage.ts";
export type { Filled, StageKind };

const KINDS: { readonly [Type in Stage["type"]]: StageKind<StageOf<Type>> } = {
  "install": install,
  "oci-archive": ociArchive,
  "docker-archive": dockerArchive,
  "container-loader": containerLoader,
  "copy-tree": copyTree,
  "unpack": unpack,
  "storage-conf": storageConf,
  "quadlet": quadlet,
  "exec": exec,
};

/**
 * Finds the kind of a stage.
 *
 * @param stage The stage.
 * @returns What the engine asks of it.
 */
export function stageKind(stage: Stage): StageKind {
  return KINDS[stage.type];
}

/**
 * Whether a stage has a tree of its own, or passes one on.
 *
 * @param stage The stage.
 * @returns `false` where what it makes goes elsewhere.
 */
export function keepsTree(stage: Stage): boolean {
  const kind = stageKind(stage);
  return kind.into(stage) === undefined && (!kind.isElsewhere(stage) || stage.on !== undefined);
}
