import { join, resolve } from "@std/path";
import type { Mirror, Policy, RegistrySettings } from "../../config/mod.ts";
import { findSettings } from "../../config/registries.ts";
import { ConfigError, PolicyError } from "../errors/mod.ts";
import type { Emit } from "../events.ts";
import { guard, list } from "../lib/fs/files.ts";
import { ofOddFile, readIfThere } from "../lib/fs/outside_file.ts";
import type { RegistriesConf, SkopeoTrust } from "../tools/skopeo.ts";
import { findPolicy } from "../tools/skopeo_policy.ts";
import type { readSkopeoVersion } from "../tools/skopeo_version.ts";
import {
  findRuling,
  formatPolicy,
  holdToName,
  isOpen,
  isSigned,
  type PolicyJson,
  readPolicy,
  type Requirements,
  type Subject,
} from "./policy.ts";
import type { Scratch } from "../store/scratch.ts";

/** What a config says of whom to trust; what it does not say, the machine does. */
export interface TrustSettings {
  /** Which images are trusted. */
  readonly policy?: Policy;
  /** Folder that says where signatures are. */
  readonly registriesD?: string;
  /** Where images may come from as well. */
  readonly mirrors?: Readonly<Record<string, readonly (string | Mirror)[]>>;
  /** How registries are reached. */
  readonly registries?: RegistrySettings;
}

/** What a policy asks of an image. */
export interface Asked {
  /** What has to be met, all of it: types of containers-policy.json(5), with the files of keys. */
  readonly asks: readonly { readonly type: string; readonly keys: readonly string[] }[];
  /** Where that is said. */
  readonly where: string;
}

/** The policy that counts. */
interface Rules {
  /** What it says; `undefined` where that cannot be read. */
  readonly policy: PolicyJson | undefined;
  /** Its file, where it is the machine's. */
  readonly file?: string;
  /** Whether nobody made it. */
  readonly isMissing?: boolean;
}

/** Whom to trust: the files that tell skopeo, and what is asked of which image. */
export class Trust {
  #reach: Promise<Omit<SkopeoTrust, "policy">> | undefined;
  #rules: Promise<Rules> | undefined;
  #registriesConf: Promise<RegistriesConf | undefined> | undefined;
  readonly #written = new Map<string, Promise<string>>();
  readonly #keys = new Map<string, Promise<string | undefined>>();
  #skopeo: ReturnType<typeof readSkopeoVersion> | undefined;
  #isTold = false;

  /**
   * @param settings What the config says.
   * @param root Folder that relative paths of the config start from.
   * @param scratch Where files are made.
   * @param emit Takes notices.
   */
  constructor(
    private readonly settings: TrustSettings,
    private readonly root: string,
    private readonly scratch: Scratch,
    private readonly emit: Emit,
  ) {}

  /**
   * The files that tell skopeo how to reach images.
   *
   * @returns Their paths, where the machine's own are not to be used.
   * @throws {ConfigError} If there is no folder where the config says.
   * @throws {StoreError} If they cannot be written.
   */
  reach(): Promise<Omit<SkopeoTrust, "policy">> {
    return this.#reach ??= this.#makeReach();
  }

  /**
   * The files that tell skopeo how to reach an image, and what to ask of it.
   *
   * @param item Name of the source.
   * @param subject The image.
   * @returns Their paths, where the machine's own are not to be used.
   * @throws {PolicyError} If a key of the policy is not there.
   * @throws {ConfigError} If there is no folder where the config says.
   * @throws {StoreError} If they cannot be written.
   */
  async files(item: string, subject: Subject): Promise<SkopeoTrust> {
    const reach = await this.reach();
    const { policy, file, isMissing } = await this.#load();
    if (isMissing && !this.#isTold) {
      this.#isTold = true;
      const message =
        "this machine has no /etc/containers/policy.json, and the config no policy: " +
        "signatures are not checked";
      this.emit({ type: "notice", code: "DEFAULT_POLICY", message });
    }
    if (!policy) return reach;
    const asked = await this.#ask(item, policy, subject);
    // By the digest, without a tag, skopeo would find the same.
    const { requirements } = findRuling(policy, { ...subject, reference: untagged(subject) });
    if (file && JSON.stringify(asked) === JSON.stringify(requirements)) return reach;
    // What is asked of other images, this skopeo may be too old for.
    const isOwn = subject.isNamed && subject.reference;
    const own = isOwn ? { default: [...asked] } : file ? policy : { default: policy.default };
    return { ...reach, policy: await this.#writeOnce(own) };
  }

  /**
   * What to ask of an image that the store has, by the signatures that are kept with it.
   *
   * @param item Name of the source.
   * @param subject The image, and how it came.
   * @returns Whether any image is accepted, or none, or those that a file of a policy accepts, which
   * is for `dir`.
   * @throws {PolicyError} If a key of the policy is not there.
   * @throws {StoreError} If the file cannot be written.
   */
  async askStored(item: string, subject: Subject): Promise<boolean | { readonly policy: string }> {
    const { policy, file } = await this.#load();
    // What the machine asks of files and storages, it asks by their paths.
    if (file && !subject.isNamed) return true;
    if (!policy) return false;
    const asked = await this.#ask(item, policy, subject);
    if (isOpen(asked)) return true;
    if (asked.some(({ type }) => type === "reject")) return false;
    return { policy: await this.#writeOnce({ default: [...asked] }) };
  }

  /**
   * What skopeo is told of registries, by the config or else by the machine.
   *
   * @returns The file, and what containers-registries.conf(5) it says; nothing where there is none;
   * and `undefined` where it cannot be said again: beside a user's own file skopeo leaves out the
   * system's drop-ins, but not beside one that it is given.
   */
  readRegistriesConf(): Promise<RegistriesConf | undefined> {
    return this.#registriesConf ??= this.#readRegistriesConf().catch((error) => {
      this.#registriesConf = undefined;
      throw error;
    });
  }

  async #readRegistriesConf(): Promise<RegistriesConf | undefined> {
    const { registriesConf } = await this.reach();
    const home = Deno.env.get("HOME");
    const ofUser = join(home ?? "/", ".config/containers/registries.conf");
    const path = registriesConf ?? "/etc/containers/registries.conf";
    const own = registriesConf || !home ? undefined : await readText(ofUser);
    if (own === undefined) return { path, text: await readText(path) ?? "" };
    const dropIns = await list("/etc/containers/registries.conf.d");
    const isSaidAgain = dropIns.every((name) => /shortnames?\.conf$/.test(name));
    return isSaidAgain ? { path: ofUser, text: own } : undefined;
  }

  /**
   * Tells whether any image of a name is accepted, signed or not.
   *
   * @param item Name of the source.
   * @param subject The image.
   * @returns Whether nothing is asked of it.
   * @throws {PolicyError} If a key of the policy is not there.
   */
  async acceptsAny(item: string, subject: Subject): Promise<boolean> {
    const { policy } = await this.#load();
    return policy !== undefined && isOpen(await this.#ask(item, policy, subject));
  }

  /**
   * Says what is asked of an image by its name; whether the keys are there is not looked at.
   *
   * @param subject The image.
   * @returns What is asked, and where that is said.
   * @throws {StoreError} If the machine's policy cannot be read.
   */
  async explain(subject: Subject): Promise<Asked> {
    const { policy, file, isMissing } = await this.#load();
    if (!policy) return { asks: [], where: file ?? "" };
    const { requirements, scope } = findRuling(policy, subject);
    const { keysOf } = await import("./policy_key.ts");
    const asks = requirements.map((requirement) => ({
      type: requirement.type,
      keys: keysOf(requirement).map(({ path, field }) => path ?? field),
    }));
    const at = scope === undefined ? "default" : `${subject.transport}["${scope}"]`;
    const where = file ?? (isMissing ? "no policy" : "the config");
    return { asks, where: isMissing ? where : `${at} of ${where}` };
  }

  /**
   * Says where to look when an image is refused.
   *
   * @param subject The image.
   * @returns What to do next, where the policy is the config's.
   */
  hintFor(subject: Subject): string | undefined {
    const { policy } = this.settings;
    if (!policy) return undefined;
    const { scope } = findRuling(formatPolicy(policy, this.root), subject);
    const where = scope === undefined ? "default" : `docker["${scope}"]`;
    return `it is policy.${where} of the config that asks for this; see containers-policy.json(5)`;
  }

  /** What is asked of an image by its name; the keys for that are there. */
  async #ask(item: string, policy: PolicyJson, subject: Subject): Promise<Requirements> {
    const { requirements } = findRuling(policy, subject);
    for (const requirement of requirements.filter(isSigned)) {
      const { explainKey, keysOf } = await import("./policy_key.ts"); // most policies have no keys
      await this.#checkSkopeo(item, requirement);
      for (const key of keysOf(requirement)) {
        const id = JSON.stringify(key);
        const known = this.#keys.get(id) ?? explainKey(key);
        this.#keys.set(id, known);
        const problem = await known;
        if (problem !== undefined) throw new PolicyError(item, problem, this.hintFor(subject));
      }
    }
    return holdToName(requirements, subject);
  }

  async #checkSkopeo(item: string, requirement: Requirements[number]): Promise<void> {
    const { neededSkopeo } = await import("./needed_skopeo.ts");
    const needed = neededSkopeo(requirement);
    if (!needed) return;
    const { isOlder, readSkopeoVersion } = await import("../tools/skopeo_version.ts");
    const skopeo = await (this.#skopeo ??= readSkopeoVersion());
    if (!skopeo || !isOlder(skopeo.version, needed.since)) return;
    const since = needed.since.join(".");
    throw new PolicyError(
      item,
      `its ${needed.field} takes skopeo ${since} or newer, and this is ${skopeo.text}`,
      `install skopeo ${since} or newer`,
    );
  }

  #load(): Promise<Rules> {
    return this.#rules ??= (async () => {
      const { policy } = this.settings;
      if (policy) return { policy: formatPolicy(policy, this.root) };
      const file = await findPolicy();
      // skopeo refuses to work without one.
      const open = { default: [{ type: "insecureAcceptAnything" }] };
      if (file === undefined) return { policy: open, isMissing: true };
      return { policy: readPolicy(await readText(file) ?? ""), file };
    })();
  }

  async #makeReach(): Promise<Omit<SkopeoTrust, "policy">> {
    const { registriesD, mirrors, registries } = this.settings;
    const folder = registriesD === undefined ? undefined : resolve(this.root, registriesD);
    // skopeo takes a folder that is not there for one that says nothing.
    if (folder && !await Deno.stat(folder).then((info) => info.isDirectory, () => false)) {
      const expected = `a folder that is there ("${folder}" is not)`;
      throw new ConfigError([{ path: "registriesD", value: registriesD, expected }]);
    }
    if (folder) await refuseOdd(folder);
    return {
      ...(folder && { registriesD: folder }),
      ...(mirrors &&
        {
          registriesConf: await this.#write(
            "registries.conf",
            formatMirrors(mirrors, registries),
          ),
        }),
    };
  }

  #writeOnce(policy: PolicyJson): Promise<string> {
    const text = JSON.stringify(policy);
    const path = this.#written.get(text) ??
      this.#write(`policy-${this.#written.size}.json`, text);
    this.#written.set(text, path);
    return path;
  }

  async #write(name: string, text: string): Promise<string> {
    const path = join(await this.scratch.folder(), name);
    await guard("write", path, () => Deno.writeTextFile(path, text));
    return path;
  }
}

function untagged({ reference }: Subject): Subject["reference"] {
  return reference && { domain: reference.domain, path: reference.path };
}

/** A mirror is asked by digest only, so that it need not be trusted; unless the config says so. */
function formatMirrors(
  mirrors: NonNullable<TrustSettings["mirrors"]>,
  registries: RegistrySettings | undefined,
): string {
  const isSafe = (location: string) => findSettings(location, registries).how.tlsVerify ?? true;
  const text = JSON.stringify;
  return Object.entries(mirrors).map(([prefix, places]) =>
    [
      "[[registry]]",
      `prefix = ${text(prefix)}`,
      // What stands for many registries has no place of its own.
      ...(prefix.startsWith("*.") ? [] : [`location = ${text(prefix)}`]),
      ...places.map((place) => typeof place === "string" ? { location: place } : place).map(
        ({ location, tlsVerify = isSafe(location), tags = false }: Mirror) =>
          [
            "[[registry.mirror]]",
            `location = ${text(location)}`,
            `insecure = ${!tlsVerify}`,
            `pull-from-mirror = ${text(tags ? "all" : "digest-only")}`,
          ].join("\n"),
      ),
    ].join("\n")
  ).join("\n\n");
}

/** skopeo reads all of them, and would wait for a pipe. */
async function refuseOdd(registriesD: string): Promise<void> {
  const names = await guard("read", registriesD, () => list(registriesD));
  for (const name of names) if (name.endsWith(".yaml")) await readText(join(registriesD, name));
}

async function readText(file: string): Promise<string | undefined> {
  const bytes = await guard("read", file, async () => {
    try {
      return await readIfThere(file);
    } catch (error) {
      throw ofOddFile(file, error) ?? error;
    }
  });
  return bytes && new TextDecoder().decode(bytes);
}
