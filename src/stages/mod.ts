import type { Stage } from "../../config/mod.ts";
import type { StageContext } from "./stage.ts";

/**
 * Runs a stage: loads what its type needs, and nothing else.
 *
 * @param stage The stage, as the config has it.
 * @param context What the engine gives to it.
 * @throws {StageError} If it fails.
 * @throws {InterruptedError} If the run was interrupted.
 */
export async function runStage(stage: Stage, context: StageContext): Promise<void> {
  switch (stage.type) {
    case "install":
      return await (await import("./install.ts")).install(stage, context);
    case "oci-archive":
      return await (await import("./oci_archive.ts")).ociArchive(stage, context);
    case "docker-archive":
      return await (await import("./docker_archive.ts")).dockerArchive(stage, context);
    case "container-loader":
      return await (await import("./container_loader.ts")).containerLoader(stage, context);
    case "copy-tree":
      return await (await import("./copy_tree.ts")).copyTree(stage, context);
    case "exec":
      return await (await import("./exec.ts")).exec(stage, context);
  }
}
