import { assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { type Config, type Lock, LockError, stowage } from "@stowage/stowage";
import { lockFixture, mustLock, of } from "./fixture.ts";

const BOTH = ["linux/amd64", "linux/arm64"];
const OTHER = `sha256:${"0".repeat(64)}`;

const bench = await lockFixture();

/** Checks a lock. */
function check(config: Config, lock?: Lock, names: string[] = []): Promise<void> {
  return stowage(config, { store: bench.store, ...(lock && { lock }) }).checkLock({ names });
}

/** What a lock that is not right is told to be. */
async function problemsOf(
  config: Config,
  lock?: Lock,
): Promise<[code: string, problems: string[]]> {
  const error = await assertRejects(() => check(config, lock), LockError);
  assertEquals(error.hint, "run `stowage lock`");
  return [error.code, error.problems.map(({ name, reason }) => `${name}: ${reason}`)];
}

describe("checkLock()", () => {
  it("takes a lock of the config, and asks no registry", async () => {
    await bench.pushMany("many:1", "many", BOTH);
    const web = await bench.push("web:1", "web");
    const { platform: _, ...both } = bench.app("many:1", { platforms: BOTH });
    const config = of({
      both,
      web: bench.app("web:1"),
      digest: bench.app("web", { digest: web.digest }),
    });
    const lock = await mustLock(bench, config);
    await bench.push("web:1", "new");
    const asked = bench.proxy.requests.length;
    await check(config, lock);
    await check(of({ ...config.sources, new: bench.app("web:1") }), lock, ["web", "both"]);
    assertEquals(bench.proxy.requests.length, asked);
  });

  it("says what the config has, and what the lock", async () => {
    await bench.pushMany("web:1", "web", BOTH);
    const config = of({ web: bench.app("web:1") });
    const lock = await mustLock(bench, config);
    const { digest, id } = lock.sources["web"]?.platforms["linux/amd64"] ?? {};
    const { platform: _, ...both } = bench.app("web:1", { platforms: BOTH });
    const at = (tag: number) => `docker://${bench.proxy.host}/web:${tag}`;
    const cases: readonly [config: Config, problem: string][] = [
      [of({ web: bench.app("web:2") }), `web: the config has ${at(2)}, and the lock ${at(1)}`],
      [
        of({ web: bench.app("web:1", { platform: "linux/386" }) }),
        "web: the config has it for linux/386, and the lock for linux/amd64",
      ],
      [
        of({ web: both }),
        "web@linux/arm64: the config has it for linux/arm64, and the lock for linux/amd64",
      ],
      [
        of({ web: bench.app("web:1", { digest: OTHER }) }),
        `web: the config has digest ${OTHER}, and the lock ${digest}`,
      ],
      [
        of({ web: bench.app("web:1", { id: OTHER }) }),
        `web: the config has id ${OTHER}, and the lock ${id}`,
      ],
      [of({ web: bench.app("web:1"), new: bench.app("web:1") }), "new: it is not in the lock"],
      [of({}), "web: it is in the lock, and not in the config"],
    ];
    for (const [changed, problem] of cases) {
      const [code, [first]] = await problemsOf(changed, lock);
      assertEquals([code, first], ["LOCK_STALE", problem]);
    }
    assertEquals(await problemsOf(config), ["LOCK_MISSING", ["web: there is no lock"]]);
    await check(of({ web: bench.app("web:1", { digest: OTHER }) }));

    const wide = await mustLock(bench, of({ web: both }));
    assertEquals((await problemsOf(config, wide))[1], [
      "web: it is in the lock for linux/arm64, and not in the config",
    ]);
    const { platforms: _platforms, ...open } = both;
    await check(of({ web: open }), wide);
  });
});
