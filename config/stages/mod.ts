/**
 * The kinds of stages: each has a file with its builder, its options and its schema, and a line in
 * each of the two lists here.
 *
 * @module
 */

import * as v from "valibot";
import type { Same } from "../same.ts";
import { ContainerLoaderSchema, type ContainerLoaderStage } from "./container_loader.ts";
import { CopyTreeSchema, type CopyTreeStage } from "./copy_tree.ts";
import { DockerArchiveSchema, type DockerArchiveStage } from "./docker_archive.ts";
import { ExecSchema, type ExecStage } from "./exec.ts";
import { InstallSchema, type InstallStage } from "./install.ts";
import { OciArchiveSchema, type OciArchiveStage } from "./oci_archive.ts";
import { QuadletSchema, type QuadletStage } from "./quadlet.ts";
import type { StageOptions } from "./stage_options.ts";
import { StorageConfSchema, type StorageConfStage } from "./storage_conf.ts";
import { UnpackSchema, type UnpackStage } from "./unpack.ts";

/** The stages of each type, as plain data. */
export interface StagesByType<
  InputName extends string = string,
  StageName extends string = string,
> {
  /** Images into a tree, an archive or a registry. */
  "install": InstallStage<InputName, StageName>;
  /** Trees into an OCI archive. */
  "oci-archive": OciArchiveStage<InputName, StageName>;
  /** Images into docker archives. */
  "docker-archive": DockerArchiveStage<InputName, StageName>;
  /** Images and the unit that loads them. */
  "container-loader": ContainerLoaderStage<InputName, StageName>;
  /** Trees into a tree. */
  "copy-tree": CopyTreeStage<InputName, StageName>;
  /** An image into a tree. */
  "unpack": UnpackStage<InputName, StageName>;
  /** Settings of a tree's container storage. */
  "storage-conf": StorageConfStage<InputName, StageName>;
  /** Units of podman. */
  "quadlet": QuadletStage<InputName, StageName>;
  /** A command. */
  "exec": ExecStage<InputName, StageName>;
}

/** A stage of one type, as plain data. */
export type StageOf<
  Type extends keyof StagesByType,
  InputName extends string = string,
  StageName extends string = string,
> = StagesByType<InputName, StageName>[Type];

/** A stage, as plain data. */
export type Stage<InputName extends string = string, StageName extends string = string> = StageOf<
  keyof StagesByType,
  InputName,
  StageName
>;

/** The options of each type of stage. */
export type StageOptionsByType = {
  [Type in keyof StagesByType]: Omit<StageOf<Type>, "type" | keyof StageOptions>;
};

/** The schema of {@linkcode Stage}. */
export const StageSchema = v.variant("type", [
  InstallSchema,
  OciArchiveSchema,
  DockerArchiveSchema,
  ContainerLoaderSchema,
  CopyTreeSchema,
  UnpackSchema,
  StorageConfSchema,
  QuadletSchema,
  ExecSchema,
]);
true satisfies Same<v.InferOutput<typeof StageSchema>, Stage>;
