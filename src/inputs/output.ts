import { join } from "@std/path";
import { formatReference, type OutputInput, parseReference } from "../../config/mod.ts";
import { StageError, ToolError } from "../errors/mod.ts";
import { hashOf } from "../lib/hash/hash.ts";
import { checkTree, type InputKind } from "./input_kind.ts";

/** The archive that another stage made. */
export const output: InputKind<OutputInput> = {
  gives: "images",
  describe: () => "output",
  needs: ({ stage }) => [{ section: "stages", name: stage, path: "stage" }],
  check: ({ stage }, around) => checkTree(stage, around),
  images({ stage, as }, { imageName }) {
    const names = [as ?? imageName(stage) ?? `localhost/${plain(stage)}`].flat();
    const normal = names.map((name) => formatReference(parseReference(name)));
    return [{ source: `stage/${stage}`, names: [...new Set(normal)].sort() }];
  },
  meaning: ({ name }) => ({ name }),
  async resolve(input, { name, images: [image], tree, platform, scratch, epoch, signal }) {
    const { stage } = input;
    const made = image && tree(image.source);
    if (!made) throw new StageError(name, `stage "${stage}" keeps no tree`, { kind: "input" });
    const { names } = image;
    const file = await chooseFile(name, input, made.tree);
    const path = join(made.tree, file);
    const { readArchive } = await import("../tools/skopeo_archive.ts");
    const options = { platform, scratch: await scratch(), signal };
    const { id, digest } = await readArchive(path, options).catch((error) => {
      if (!(error instanceof ToolError)) throw error;
      throw new StageError(name, `"${file}" of stage "${stage}" is no OCI archive`, {
        kind: "input",
        hint: `output() reads what oci-archive makes; inputs.${name}.name chooses another file`,
        log: error.stderr,
        cause: error,
      });
    });
    return {
      id: hashOf({ kind: "output", stageId: made.id, file, names }),
      ...(epoch === undefined && { date: made.epoch }),
      input: {
        name,
        kind: "images",
        images: [{ format: "oci-archive", path, id, digest, names, platform }],
      },
    };
  },
};

/** The name of a stage, as a reference may have it. */
function plain(stage: string): string {
  return stage.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/-$/, "");
}

async function chooseFile(
  name: string,
  { stage, name: file }: OutputInput,
  tree: string,
): Promise<string> {
  const entries = await Array.fromAsync(Deno.readDir(tree));
  const files = entries.filter((entry) => entry.isFile).map((entry) => entry.name).sort();
  const chosen = file === undefined ? files[0] : files.find((each) => each === file);
  if (chosen !== undefined) return chosen;
  const what = file === undefined ? "no file" : `no file "${file}"`;
  const there = entries.map((entry) => entry.isFile ? entry.name : `${entry.name}/`).sort();
  throw new StageError(name, `the tree of stage "${stage}" has ${what} at its root`, {
    kind: "input",
    hint: `it has ${there.join(", ") || "nothing"}`,
  });
}
