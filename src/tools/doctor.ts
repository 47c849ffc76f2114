import { find } from "./process.ts";
import { findIsolation } from "./sandbox.ts";
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
 * @returns What was found, thing by thing.
 */
export async function examine(): Promise<Diagnosis[]> {
  return await Promise.all([
    examineSkopeo(),
    ...["tar", "zstd", "gzip"].map(examineTool),
    examinePolicy(),
    examineCredentials(),
    examineMounts(),
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

async function examineLeash(): Promise<Diagnosis> {
  const name = "setpriv";
  return await find(name)
    ? { name, verdict: "good", message: "programs end with stowage, also at kill -9" }
    : { name, verdict: "limited", message: "not on the PATH: skopeo may outlive a killed stowage" };
}
