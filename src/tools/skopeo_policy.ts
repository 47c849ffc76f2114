import { join } from "@std/path";

/**
 * Finds the signature policy that skopeo would use, as containers-policy.json(5) has it.
 *
 * @returns The file, or `undefined` if this machine has none, where skopeo refuses to work.
 */
export async function findPolicy(): Promise<string | undefined> {
  const home = Deno.env.get("HOME");
  const paths = [
    ...(home ? [join(home, ".config/containers/policy.json")] : []),
    "/etc/containers/policy.json",
    "/usr/share/containers/policy.json",
  ];
  for (const path of paths) {
    if (await Deno.stat(path).then(() => true, () => false)) return path;
  }
  return undefined;
}
