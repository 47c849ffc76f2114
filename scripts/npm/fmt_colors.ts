/** `@std/fmt/colors` from npm, typed; the plain colours only. */
import * as std from "deno-std/fmt/colors.js";

type Style = (str: string) => string;

export const setColorEnabled: (value: boolean) => void = std.setColorEnabled;
export const getColorEnabled: () => boolean = std.getColorEnabled;
export const stripAnsiCode: Style = std.stripAnsiCode;
export const bold: Style = std.bold;
export const dim: Style = std.dim;
export const italic: Style = std.italic;
export const underline: Style = std.underline;
export const inverse: Style = std.inverse;
export const black: Style = std.black;
export const red: Style = std.red;
export const green: Style = std.green;
export const yellow: Style = std.yellow;
export const blue: Style = std.blue;
export const magenta: Style = std.magenta;
export const cyan: Style = std.cyan;
export const white: Style = std.white;
export const gray: Style = std.gray;
