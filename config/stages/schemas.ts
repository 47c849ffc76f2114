import * as v from "valibot";
import type { Same } from "../same.ts";
import { ContainerLoaderSchema } from "./container_loader.ts";
import { CopyTreeSchema } from "./copy_tree.ts";
import { DockerArchiveSchema } from "./docker_archive.ts";
import { ExecSchema } from "./exec.ts";
import { InstallSchema } from "./install.ts";
import { OciArchiveSchema } from "./oci_archive.ts";
import { QuadletSchema } from "./quadlet.ts";
import { StorageConfSchema } from "./storage_conf.ts";
import { UnpackSchema } from "./unpack.ts";
import type { Stage } from "./mod.ts";

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
