import { join, resolve } from "@std/path";
import type { Mirror, Policy, Requirement } from "../../config/mod.ts";
import type { Listener } from "../events.ts";
import { guard } from "../store/files.ts";
import type { SkopeoTrust } from "../tools/skopeo.ts";
import { findPolicy } from "../tools/skopeo_policy.ts";
import type { Scratch } from "./scratch.ts";

/** What a config says of whom to trust; what it does not say, the machine does. */
export interface TrustSettings {
  /** Which images are trusted. */
  readonly policy?: Policy;
  /** Folder that says where signatures are. */
  readonly registriesD?: string;
  /** Where images may come from as well. */
  readonly mirrors?: Readonly<Record<string, readonly (string | Mirror)[]>>;
}

/** The files that tell skopeo whom to trust, made when they are needed first. */
export class Trust {
  #files: Promise<SkopeoTrust> | undefined;

  /**
   * Takes what it works with.
   *
   * @param settings What the config says.
   * @param root Folder that relative paths of the config start from.
   * @param scratch Where files are made.
   * @param emit Takes notices.
   */
  constructor(
    private readonly settings: TrustSettings,
    private readonly root: string,
    private readonly scratch: Scratch,
    private readonly emit: Listener,
  ) {}

  /**
   * The files.
   *
   * @returns Their paths, where the machine's own are not to be used.
   * @throws {StoreError} If they cannot be written.
   */
  files(): Promise<SkopeoTrust> {
    return this.#files ??= this.#make();
  }

  async #make(): Promise<SkopeoTrust> {
    const { registriesD, mirrors } = this.settings;
    const policy = await this.#makePolicy();
    return {
      ...(policy !== undefined && { policy }),
      ...(registriesD !== undefined && { registriesD: resolve(this.root, registriesD) }),
      ...(mirrors &&
        { registriesConf: await this.#write("registries.conf", formatMirrors(mirrors)) }),
    };
  }

  async #makePolicy(): Promise<string | undefined> {
    const { policy } = this.settings;
    if (!policy && await findPolicy()) return undefined;
    if (!policy) {
      // skopeo refuses to work without one.
      const message =
        "this machine has no /etc/containers/policy.json, and the config no policy: " +
        "signatures are not checked";
      this.emit({ type: "notice", code: "DEFAULT_POLICY", message });
    }
    const written = policy ?? { default: { type: "insecureAcceptAnything" } };
    return await this.#write("policy.json", JSON.stringify(formatPolicy(written, this.root)));
  }

  async #write(name: string, text: string): Promise<string> {
    const path = join(await this.scratch.folder(), name);
    await guard("write", path, () => Deno.writeTextFile(path, text));
    return path;
  }
}

function formatPolicy({ default: fallback, docker = {} }: Policy, root: string): unknown {
  const format = (requirement: Requirement) => {
    const { type } = requirement;
    if (!("keyPath" in requirement)) return [{ type }];
    const keyPath = resolve(root, requirement.keyPath);
    return [{ type, ...(type === "signedBy" && { keyType: "GPGKeys" }), keyPath }];
  };
  const scopes = Object.entries(docker).map(([scope, each]) => [scope, format(each)]);
  return { default: format(fallback), transports: { docker: Object.fromEntries(scopes) } };
}

/** A mirror is asked by digest only, so that it need not be trusted. */
function formatMirrors(mirrors: NonNullable<TrustSettings["mirrors"]>): string {
  const text = JSON.stringify;
  return Object.entries(mirrors).map(([prefix, places]) =>
    [
      "[[registry]]",
      `prefix = ${text(prefix)}`,
      `location = ${text(prefix)}`,
      "mirror-by-digest-only = true",
      ...places.map((place) => typeof place === "string" ? { location: place } : place).map(
        ({ location, tlsVerify = true }) =>
          `[[registry.mirror]]\nlocation = ${text(location)}\ninsecure = ${!tlsVerify}`,
      ),
    ].join("\n")
  ).join("\n\n");
}
