/**
 * What an environment variable is called that says where an input of `exec` is.
 *
 * @param input Name of the input.
 * @returns The name, such as `STOWAGE_INPUT_MY_FILES` for `my-files`.
 */
export function inputVariable(input: string): string {
  return `STOWAGE_INPUT_${input.toUpperCase().replaceAll(/[^A-Z0-9]/g, "_")}`;
}
