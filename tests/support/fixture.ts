import { assert } from "@std/assert";
import { afterEach, beforeEach } from "@std/testing/bdd";
import { dirname } from "@std/path";
import { type FaultProxy, startFaultProxy } from "./fault_proxy.ts";
import { type Registry, type RegistryOptions, startRegistry } from "./registry.ts";
import { type TempDir, tempDir } from "./temp_dir.ts";

/** What the tests of a file work with. */
export interface Fixture {
  /** A temporary folder, empty when a test begins. */
  readonly dir: TempDir;
  /** Where a store may be made in it. */
  readonly store: string;
  /** That store, for configs whose paths start at the folder. */
  readonly at: { readonly root: string; readonly store: string };
}

/** What the tests of a file work with that need a registry. */
export interface RegistryFixture extends Fixture {
  /** The registry of all tests of the file. */
  readonly registry: Registry;
  /** A proxy before it, which each test has anew: its host is another one each time. */
  readonly proxy: Pick<FaultProxy, "host" | "rules" | "requests">;
}

/** What to set up. */
export interface FixtureOptions {
  /** Files that are in the folder when a test begins: their texts, by path. */
  readonly files?: Readonly<Record<string, string>>;
  /** Start a registry, of a kind, and a proxy before it. */
  readonly registry?: true | RegistryOptions;
}

/**
 * Sets up what the tests of a file work with, and takes it down when the last one has ended. Call it
 * where the file begins; images that all tests use are pushed behind it.
 *
 * @param options Files, a registry.
 * @returns The parts.
 *
 * @example Usage
 * ```ts ignore
 * const { registry, proxy, store } = await fixture({ registry: true });
 * const app = await pushImage(registry, "app:1", { layers: [await fileLayer({ a: "b" })] });
 *
 * it("fetches an image", async () => {
 *   const { image } = await mustFetch(docker(`${proxy.host}/app:1`), { store });
 *   assertEquals(image.id, app.id);
 * });
 * ```
 */
export async function fixture(
  options: FixtureOptions & { readonly registry: true | RegistryOptions },
): Promise<RegistryFixture>;
export async function fixture(options?: Omit<FixtureOptions, "registry">): Promise<Fixture>;
export async function fixture(
  { files = {}, registry: how }: FixtureOptions = {},
): Promise<Fixture | RegistryFixture> {
  const dir = await forThisFile(tempDir());
  const store = dir.join("store");
  const registry = how && await forThisFile(startRegistry(how === true ? {} : how));
  let current: FaultProxy | undefined;
  beforeEach(async () => {
    for (const [path, text] of Object.entries(files)) {
      await Deno.mkdir(dirname(dir.join(path)), { recursive: true });
      await Deno.writeTextFile(dir.join(path), text);
    }
    current = registry && await startFaultProxy(registry);
  });
  afterEach(async () => {
    await current?.[Symbol.asyncDispose]();
    await dir.empty();
  });
  const parts = { dir, store, at: { root: dir.path, store } };
  if (!registry) return parts;
  const proxy = () => {
    assert(current, "there is a proxy only while a test runs");
    return current;
  };
  return {
    ...parts,
    registry,
    proxy: {
      get host() {
        return proxy().host;
      },
      get rules() {
        return proxy().rules;
      },
      get requests() {
        return proxy().requests;
      },
    },
  };
}

/**
 * Keeps something until the last test of a file has ended.
 *
 * @param made What is kept.
 * @returns The same.
 */
export async function forThisFile<Part extends AsyncDisposable>(
  made: Promise<Part>,
): Promise<Part> {
  const part = await made;
  Deno.test.afterAll(async () => await part[Symbol.asyncDispose]());
  return part;
}
