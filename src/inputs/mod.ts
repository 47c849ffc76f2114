import type { Input } from "../../config/mod.ts";
import { artifacts } from "./artifacts.ts";
import { hostImage } from "./host_image.ts";
import { images } from "./images.ts";
import type { InputKind } from "./input_kind.ts";
import { output } from "./output.ts";
import { tree } from "./tree.ts";

export type { InputImage, InputKind, InputNote, Surroundings } from "./input_kind.ts";

const KINDS: {
  readonly [Type in Input["type"]]: InputKind<Extract<Input, { readonly type: Type }>>;
} = { images, artifacts, output, "host-image": hostImage, tree };

/**
 * Finds the kind of an input.
 *
 * @param input The input.
 * @returns What the engine asks of it.
 */
export function inputKind(input: Input): InputKind {
  return KINDS[input.type];
}

/**
 * Names what makes inputs that give what a stage reads.
 *
 * @param gives What they give.
 * @returns The builders, such as `tree()`.
 */
export function buildersOf(gives: InputKind["gives"]): string[] {
  return Object.entries(KINDS).flatMap(([type, kind]) =>
    kind.gives === gives ? [`${builderOf(type)}()`] : []
  );
}

function builderOf(type: string): string {
  return type.replaceAll(/-(.)/g, (_, letter: string) => letter.toUpperCase());
}
