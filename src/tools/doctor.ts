import { dirname, resolve } from "@std/path";
import { readIfThere } from "../lib/fs/outside_file.ts";
import { find } from "./process.ts";
import { findIsolation, runInSandbox } from "./sandbox.ts";
import { findPolicy } from "./skopeo_policy.ts";
import { isOlder, readSkopeoVersion } from "./skopeo_version.ts";

/** What was found out about one thing that stowage needs. */
export interface Diagnosis {
  /** Name of the thing. */
  readonly name: string;
  /** `limited` things keep some features from working; `bad` ones keep stowage from working. */
  readonly verdict: "good" | "limited" | "bad";
  /** What was found, and what to do about it. */
  readonly message: string;
}

/** The oldest skopeo that stowage is tested with: Debian 12's. */
const OLDEST_SKOPEO = [1, 9] as const;

/**
 * Examines this machine.
 *
 * @param store The store's folder, there or not.
 * @returns What was found, thing by thing.
 */
export async function examine(store: string): Promise<Diagnosis[]> {
  return await Promise.all([
    examineSkopeo(),
    ...["tar", "zstd", "gzip"].map(examineTool),
    examinePolicy(),
    examineCredentials(),
    examineMounts(),
    examineOverlay(store),
    examineLeash(),
  ]);
}

async function examineSkopeo(): Promise<Diagnosis> {
  const name = "skopeo";
  if (!await find(name)) return missing(name, "bad");
  const said = await readSkopeoVersion();
  if (!said) return { name, verdict: "limited", message: "it does not tell its version" };
  const { text, version } = said;
  return isOlder(version, OLDEST_SKOPEO)
    ? {
      name,
      verdict: "bad",
      message: `version ${text} is older than ${OLDEST_SKOPEO.join(".")}: install a newer one`,
    }
    : { name, verdict: "good", message: `version ${text}` };
}

async function examineTool(name: string): Promise<Diagnosis> {
  const path = await find(name);
  return path ? { name, verdict: "good", message: path } : missing(name, "limited");
}

function missing(name: string, verdict: Diagnosis["verdict"]): Diagnosis {
  return {
    name,
    verdict,
    message: `not on the PATH: install it (Debian: apt-get install ${name})`,
  };
}

async function examinePolicy(): Promise<Diagnosis> {
  const name = "policy.json";
  const path = await findPolicy();
  return path === undefined
    ? { name, verdict: "limited", message: "none on this machine: signatures are not checked" }
    : { name, verdict: "good", message: path };
}

/** Where skopeo looks for credentials first; it fails where it may not even look. */
async function examineCredentials(): Promise<Diagnosis> {
  const name = "credentials";
  const { REGISTRY_AUTH_FILE, XDG_RUNTIME_DIR = "" } = Deno.env.toObject();
  const folder = XDG_RUNTIME_DIR
    ? `${XDG_RUNTIME_DIR}/containers`
    : `/run/containers/${Deno.uid()}`;
  const path = REGISTRY_AUTH_FILE || `${folder}/auth.json`;
  try {
    await Deno.stat(path);
    return { name, verdict: "good", message: path };
  } catch (error) {
    if (!(error instanceof Deno.errors.PermissionDenied)) {
      return { name, verdict: "good", message: `none at ${path}` };
    }
    const message =
      `this user may not look for ${path}: set XDG_RUNTIME_DIR to a folder of its own`;
    return { name, verdict: "bad", message };
  }
}

async function examineMounts(): Promise<Diagnosis> {
  const name = "mounts";
  switch (await findIsolation()) {
    case "root":
      return { name, verdict: "good", message: "inputs of stages are mounted read-only" };
    case "user": {
      const message = "in user namespaces only: files of a stage's tree all belong to this user";
      return { name, verdict: "limited", message };
    }
    case "none": {
      const message = "not allowed: stages get links to inputs, and the machine's own network";
      return { name, verdict: "limited", message };
    }
  }
}

/** Where a container storage is written by a mount program or in a user namespace, no device reads it. */
async function examineOverlay(store: string): Promise<Diagnosis> {
  const name = "overlay";
  const limited = (why: string): Diagnosis => ({ name, verdict: "limited", message: why });
  const isRoot = await findIsolation() === "root" && await isRootOfMachine();
  if (!isRoot) {
    return limited('takes root: install into a containers-storage with driver: "vfs"');
  }
  const folder = await findFolder(resolve(store));
  const work = await Deno.makeTempDir({ dir: folder, prefix: ".stowage-doctor-" })
    .catch(() => undefined);
  if (work === undefined) return limited(`cannot be tried: nothing can be written in "${folder}"`);
  try {
    const script = "mkdir l u w m && mount -t overlay o -o lowerdir=l,upperdir=u,workdir=w m";
    const { code } = await runInSandbox("sh", ["-c", script], { cwd: work });
    return code === 0
      ? { name, verdict: "good", message: `can be mounted in "${folder}"` }
      : limited(
        `cannot be mounted in "${folder}": put the store on ext4, xfs or tmpfs, or install into a ` +
          'containers-storage with driver: "vfs"',
      );
  } finally {
    await Deno.remove(work, { recursive: true }).catch(() => {});
  }
}

/** In a user namespace, root is another user of the machine. */
async function isRootOfMachine(): Promise<boolean> {
  const map = new TextDecoder().decode(await readIfThere("/proc/self/uid_map"));
  return map.trim().split(/\s+/).join(" ") === "0 0 4294967295";
}

/** A folder, or the nearest one above it that is there. */
async function findFolder(path: string): Promise<string> {
  const isThere = await Deno.stat(path).then((info) => info.isDirectory, () => false);
  return isThere || dirname(path) === path ? path : await findFolder(dirname(path));
}

async function examineLeash(): Promise<Diagnosis> {
  const name = "setpriv";
  return await find(name)
    ? { name, verdict: "good", message: "programs end with stowage, also at kill -9" }
    : { name, verdict: "limited", message: "not on the PATH: skopeo may outlive a killed stowage" };
}
