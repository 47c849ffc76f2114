import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { type Config, docker, LockError, readLock, RunError, stowage } from "@stowage/stowage";
import { fixture } from "../support/fixture.ts";
import { fileLayer, pushImage, run } from "../support/mod.ts";

const { dir, at, registry, proxy } = await fixture({ registry: true });
await pushImage(registry, "app:1", { layers: [await fileLayer({ a: "a" })] });
const asks = { status: 401, headers: { "www-authenticate": 'Basic realm="x"' } };

const source = (options: Parameters<typeof docker>[1]): Config => ({
  sources: { app: docker(`${proxy.host}/app:1`, { tlsVerify: false, ...options }) },
});

/** Configs that name a file, by the path of it. */
const KINDS: Readonly<Record<string, (path: string) => Config>> = {
  "cred/auth.json": (path) => source({ authFile: path }),
  "certs/ca.crt": () => source({ certDir: "certs" }),
  "certs/own.cert": () => source({ certDir: "certs" }),
  "regs/x.yaml": () => ({ ...source({}), registriesD: "regs" }),
};

describe("a pipe in the place of a file, or a device that never ends", () => {
  for (const [path, config] of Object.entries(KINDS)) {
    for (const odd of ["pipe", "device"]) {
      it(`is named, and not read: ${path} is a ${odd}`, async () => {
        proxy.rules.push({ match: /./, fault: asks });
        await Deno.mkdir(dir.join(path.split("/")[0] ?? ""));
        if (odd === "pipe") await run("mkfifo", [dir.join(path)]);
        else await Deno.symlink("/dev/zero", dir.join(path));
        const fetching = () => stowage(config(path), { ...at, attempts: 1 }).fetch();
        const { failures } = await assertRejects(fetching, RunError);
        const [error] = Object.values(failures);
        assertEquals(error?.code, "CONFIG_FILE", error?.message);
        assertStringIncludes(error?.message ?? "", `"${dir.join(path)}": it is no regular file`);
      });
    }
  }

  it("is no lock", async () => {
    await run("mkfifo", [dir.join("lock")]);
    const reading = () => readLock(dir.join("lock"));
    await assertRejects(reading, LockError, "it is no regular file");
  });
});
