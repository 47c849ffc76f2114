import { inflateSync } from "node:zlib";
import { assert, assertEquals } from "@std/assert";

/** The pixels of a picture. */
export interface Pixels {
  /** Red, green and blue of one, each from 0 to 255. */
  at(x: number, y: number): number[];
  /** How many different ones there are. */
  colours(): number;
}

/**
 * Reads a PNG of 8 bits a channel without interlacing, as browsers make screenshots:
 * https://www.w3.org/TR/png-3/
 */
export function readPixels(png: Uint8Array<ArrayBuffer>): Pixels {
  const view = new DataView(png.buffer, png.byteOffset, png.byteLength);
  const parts: Uint8Array[] = [];
  let [width, height, channels] = [0, 0, 0];
  for (let at = 8; at < png.length;) {
    const length = view.getUint32(at);
    const type = new TextDecoder().decode(png.subarray(at + 4, at + 8));
    const data = at + 8;
    if (type === "IHDR") {
      [width, height] = [view.getUint32(data), view.getUint32(data + 4)];
      assertEquals([png[data + 8], png[data + 12]], [8, 0]);
      channels = png[data + 9] === 6 ? 4 : 3;
    }
    if (type === "IDAT") parts.push(png.subarray(data, data + length));
    at = data + length + 4;
  }
  const raw = inflateSync(new Uint8Array(parts.flatMap((part) => [...part])));
  const row = width * channels;
  const pixels = new Uint8Array(row * height);
  for (let y = 0; y < height; y++) {
    const filter = raw[y * (row + 1)];
    for (let x = 0; x < row; x++) {
      const left = x < channels ? 0 : pixels[y * row + x - channels]!;
      const up = y === 0 ? 0 : pixels[(y - 1) * row + x]!;
      const both = x < channels || y === 0 ? 0 : pixels[(y - 1) * row + x - channels]!;
      const guess = [0, left, up, (left + up) >> 1, paeth(left, up, both)][filter ?? 0];
      assert(guess !== undefined);
      pixels[y * row + x] = raw[y * (row + 1) + 1 + x]! + guess;
    }
  }
  const at = (x: number, y: number) => {
    const start = y * row + x * channels;
    return [...pixels.subarray(start, start + 3)];
  };
  return {
    at,
    colours: () => {
      const all = new Set<number>();
      for (let start = 0; start < pixels.length; start += channels) {
        all.add(pixels[start]! << 16 | pixels[start + 1]! << 8 | pixels[start + 2]!);
      }
      return all.size;
    },
  };
}

function paeth(left: number, up: number, both: number): number {
  const guess = left + up - both;
  const [a, b, c] = [left, up, both].map((each) => Math.abs(guess - each));
  return a! <= b! && a! <= c! ? left : b! <= c! ? up : both;
}
