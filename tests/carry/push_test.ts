import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  docker,
  fromDir,
  type NoticeEvent,
  RunError,
  type RunEvent,
  UsageError,
} from "@stowage/stowage";
import { cleanEnv, STOWAGE, stowage as cli } from "../cli/cli.ts";
import {
  pushImage,
  pushIndex,
  randomLayer,
  run,
  skopeo,
  startFaultProxy,
  startRegistry,
} from "../support/mod.ts";
import { cargoFixture } from "./fixture.ts";
import { startRelay } from "./relay.ts";
import { withoutTime } from "../support/without_time.ts";

const { dir, at, registry, base, tool, web, index, from, served, open } = await cargoFixture();

describe("push", () => {
  it("carries images and indexes as they are, each layer once, and tags last", async () => {
    await using target = await startRegistry();
    await using proxy = await startFaultProxy(target);
    const images = open({ web: from("library/web:1", { index: true }), tool: from("acme/tool:1") });
    const events: RunEvent[] = [];
    const result = await images.push({
      to: `${proxy.host}/mirror`,
      tlsVerify: false,
      onEvent: (event) => events.push(withoutTime(event)),
    });
    assertEquals(
      result.images.map(({ name, status, target, digest }) => ({ name, status, target, digest })),
      [
        {
          name: "web",
          status: "pushed",
          target: `${proxy.host}/mirror/library/web:1`,
          digest: index.digest,
        },
        {
          name: "tool",
          status: "pushed",
          target: `${proxy.host}/mirror/acme/tool:1`,
          digest: tool.digest,
        },
      ],
    );
    const platforms = ["linux/amd64", "linux/arm64", "unknown/unknown"];
    assertEquals([...new Set(result.images[0]?.platforms)].sort(), platforms);
    assertEquals(result.images[0]?.missing, undefined);
    assertEquals(await served(target, "mirror/library/web:1"), index.manifest);
    assertEquals(await served(target, "mirror/acme/tool:1"), tool.manifest);
    for (const { digest } of web) {
      const name = `docker://${target.host}/mirror/library/web@${digest}`;
      await skopeo("copy", "--src-tls-verify=false", name, `dir:${dir.join(digest.slice(-8))}`);
    }
    const small = [tool, ...web].flatMap(({ size, layers }) => [size - (layers[0]?.size ?? 0)]);
    const sent = base.size + small.reduce((sum, size) => sum + size, 0);
    const attested = result.traffic.sent - sent;
    assert(attested > 0 && attested < 2_000, `${attested} bytes of attestations were sent`);
    assert(result.traffic.mounted >= base.size);
    const carrying = events.findLast(({ type }) => type === "carrying");
    assert(carrying?.type === "carrying" && carrying.bytes === carrying.total);
    const writes = proxy.requests.filter(({ method }) => ["PUT", "PATCH"].includes(method))
      .filter(({ path }) => path.includes("/library/web/")).map(({ path }) => path);
    assertStringIncludes(writes.at(-1) ?? "", "/manifests/1");

    const before = proxy.requests.length;
    const again = await images.push({ to: `${proxy.host}/mirror`, tlsVerify: false });
    assertEquals(again.images.map(({ status }) => status), ["present", "present"]);
    assertEquals(again.traffic.sent + again.traffic.mounted, 0);
    const methods = new Set(proxy.requests.slice(before).map(({ method }) => method));
    assertEquals(methods, new Set(["GET", "HEAD"]));
  });

  it("sends what is here while others are fetched", async () => {
    await using target = await startRegistry();
    const { promise: isPushed, resolve: tell } = Promise.withResolvers<void>();
    await using slow = Deno.serve(
      { port: 0, hostname: "127.0.0.1", onListen() {} },
      async ({ url, method, headers }) => {
        await isPushed;
        return await registry.fetch(new URL(url).pathname, { method, headers });
      },
    );
    const late = docker(`127.0.0.1:${slow.addr.port}/acme/tool:1`, { tlsVerify: false });
    const { images } = await open({ late, web: from("library/web:1", { index: true }) }).push({
      to: target.host,
      tlsVerify: false,
      onEvent: (event) => event.type === "pushed" && event.name === "web" && tell(),
      signal: AbortSignal.timeout(60_000),
    });
    assertEquals(images.map(({ name }) => name), ["late", "web"]);
    assertEquals(await served(target, "acme/tool:1"), tool.manifest);
  });

  it("pushes from the store where no source can be asked, and refuses what it has not", async () => {
    await using target = await startRegistry();
    const sources = { tool: from("acme/tool:1"), web: from("library/web:1", { index: true }) };
    await open(sources).fetch({ names: ["tool"] });
    const error = await assertRejects(
      () => open(sources, { offline: true }).push({ to: target.host, tlsVerify: false }),
      RunError<{ images: unknown[] }>,
    );
    assertEquals(Object.values(error.failures).map(({ code }) => code), ["FETCH_FAILED"]);
    assertEquals(error.result.images.length, 1);
    assertEquals(await served(target, "acme/tool:1"), tool.manifest);
  });

  it("sends a blob again that was cut, and says so", async () => {
    await using target = await startRegistry();
    await using relay = startRelay(target);
    const images = open({ tool: from("acme/tool:1") });
    await images.fetch();
    relay.cutAfter(2 * 2 ** 20);
    const events: RunEvent[] = [];
    const { traffic } = await images.push({
      to: relay.host,
      tlsVerify: false,
      onEvent: (event) => events.push(withoutTime(event)),
    });
    assertEquals(events.filter(({ type }) => type === "retry").length, 1);
    assertEquals(traffic.sent, tool.size);
    assertEquals(await served(target, "acme/tool:1"), tool.manifest);
  });

  it("passes images on without the store, each blob once over each wire", async () => {
    await using target = await startRegistry();
    await using source = await startFaultProxy(registry);
    const name = (path: string) => docker(`${source.host}/${path}`, { tlsVerify: false });
    const [other] = web;
    const images = open({
      tool: name("acme/tool:1"),
      other: name(`library/web@${other?.digest}`),
    });
    const { traffic } = await images.push({ to: target.host, tlsVerify: false });
    assertEquals(await images.list(), []);
    assertEquals(await served(target, "acme/tool:1"), tool.manifest);
    assertEquals(traffic, {
      sent: tool.size + (other?.size ?? 0) - base.size,
      mounted: base.size,
      present: 0,
    });
    const blobs = source.requests.map(({ path }) => path).filter((path) =>
      path.includes("/blobs/")
    );
    const digests = blobs.map((path) => path.split("/").at(-1));
    assertEquals(digests.length, new Set(digests).size);
    assertEquals(digests.filter((digest) => digest === base.digest).length, 1);
  });

  it("takes an image by the store where it does not pass in one go", async () => {
    await using target = await startRegistry();
    await using relay = startRelay(target);
    relay.cutAfter(2 * 2 ** 20);
    const notices: NoticeEvent[] = [];
    const { traffic } = await open({ tool: from("acme/tool:1") }).push({
      to: relay.host,
      tlsVerify: false,
      onEvent: (event) => event.type === "notice" && notices.push(event),
    });
    assertEquals(notices.map(({ code, keys }) => [code, keys]), [["NOT_PASSED", ["source/tool"]]]);
    assertEquals(traffic.sent, tool.size);
    assertEquals(await served(target, "acme/tool:1"), tool.manifest);
  });

  it("passes on no blob that is not what its digest says", async () => {
    await using target = await startRegistry();
    await using bad = await startRegistry();
    const layer = await randomLayer({ size: 2 ** 21, seed: 7 });
    const { layers: [own] } = await pushImage(bad, "acme/bad:1", { layers: [layer] });
    const file = bad.blobPath(own?.digest ?? "");
    const bytes = await Deno.readFile(file);
    await Deno.writeFile(file, bytes.with(-9, (bytes.at(-9) ?? 0) ^ 1));
    const images = open({ bad: docker(`${bad.host}/acme/bad:1`, { tlsVerify: false }) });
    const codes: string[] = [];
    const onEvent = (event: RunEvent) => event.type === "notice" && codes.push(event.code);
    const error = await assertRejects(
      () => images.push({ to: target.host, tlsVerify: false, onEvent }),
      RunError,
    );
    assertEquals(codes, ["NOT_PASSED"]);
    assertEquals(Object.values(error.failures).map(({ code }) => code), ["CONTENT_MISMATCH"]);
    assertEquals(await target.statusOf("/v2/acme/bad/manifests/1"), 404);
    assertEquals(await target.statusOf(`/v2/acme/bad/blobs/${own?.digest}`), 404);
    assertEquals(await images.list(), []);
  });

  it("says once of which sources the signatures stay here", async () => {
    await using target = await startRegistry();
    const images = open({
      tool: from("acme/tool:1"),
      plain: from("library/web:1"),
      again: from("acme/tool:1", { digest: tool.digest }),
    });
    const fetched = await images.fetch();
    await Deno.writeTextFile(`${fetched.images[0]?.path}/signature-1`, "as skopeo left it");
    const notices: NoticeEvent[] = [];
    await images.push({
      to: target.host,
      tlsVerify: false,
      map: ["again=acme/again:1"],
      onEvent: (event) => void (event.type === "notice" && notices.push(event)),
    });
    assertEquals(notices.map(({ code, message, keys }) => ({ code, message, keys })), [{
      code: "SIGNATURES_LEFT",
      message: 'signatures stay here, as push sends images only: those of "tool", "again"',
      keys: ["source/tool", "source/again"],
    }]);
  });

  it("says which platforms an index lacks that the registry does not take without", async () => {
    await using target = await startRegistry();
    const images = open({ web: from("library/web:1", { platforms: ["arm64"], index: true }) });
    const error = await assertRejects(
      () => images.push({ to: target.host, tlsVerify: false }),
      RunError,
    );
    assertStringIncludes(error.message, "takes no index without all of its images");
    assertStringIncludes(error.message, "linux/amd64");
    const tags = await (await target.fetch("/v2/library/web/tags/list")).json();
    assertEquals(tags.tags ?? [], []);
  });

  it("pushes several platforms as their index, which it keeps", async () => {
    await using target = await startRegistry();
    const pair = await pushIndex(registry, "library/web:pair", web);
    const { images } = await open({
      web: from("library/web:pair", { platforms: ["amd64", "arm64"] }),
    })
      .push({ to: target.host, tlsVerify: false });
    assertEquals(images.map(({ digest, missing }) => [digest, missing]), [[
      pair.digest,
      undefined,
    ]]);
    assertEquals(await served(target, "library/web:pair"), pair.manifest);
  });

  it("names images as it is told, and refuses one name for two", async () => {
    await using target = await startRegistry();
    const folder = dir.join("folder");
    const copy = ["copy", "--preserve-digests", "--src-tls-verify=false"];
    await skopeo(...copy, `docker://${registry.host}/acme/tool:1`, `dir:${folder}`);
    const images = open({
      tool: from("acme/tool:1"),
      other: from(`acme/tool@${tool.digest}`),
      plain: fromDir(folder),
    });
    const map = [`${registry.host}/acme=site`, "plain=own/plain:2"];
    const { images: pushed } = await images.push({ to: target.host, tlsVerify: false, map });
    assertEquals(pushed.map(({ target: name }) => name.slice(target.host.length + 1)), [
      "site/tool:1",
      `site/tool@${tool.digest}`,
      "own/plain:2",
    ]);
    assertEquals(await served(target, "own/plain:2"), tool.manifest);
    const refuse = async (options: { to?: string; map?: string[] }, why: string) => {
      const request = { to: target.host, tlsVerify: false, ...options };
      assertStringIncludes(
        (await assertRejects(() => images.push(request), UsageError)).message,
        why,
      );
    };
    await refuse({ map: ["plain=acme/tool:1"] }, 'both "tool" and "plain"');
    await refuse({}, 'Cannot push "plain"');
    await refuse({ to: "registry" }, "as a registry: it names none");
    await refuse({ map: ["a"] }, "expected FROM=TO");
  });

  it("logs in, with the certificates that it is told", async () => {
    const auth = { user: "ann", password: "open-sesame-4e1" };
    await using target = await startRegistry({ auth, tls: true });
    const authFile = dir.join("auth.json");
    const login = btoa(`${auth.user}:${auth.password}`);
    await Deno.writeTextFile(
      authFile,
      JSON.stringify({ auths: { [target.host]: { auth: login } } }),
    );
    const images = open({ tool: from("acme/tool:1") });
    const to = { to: target.host, certDir: target.tls?.certDir ?? "" };
    const denied = await assertRejects(() => images.push(to), RunError);
    assertEquals(Object.values(denied.failures).map(({ code }) => code), ["PUSH_FAILED"]);
    await images.push({ ...to, authFile });
    const name = `docker://${target.host}/acme/tool:1`;
    assertEquals(await skopeo("inspect", "--raw", ...target.flags(), name), tool.manifest);
  });

  it("finds out that the store is damaged before a name stands for it", async () => {
    await using target = await startRegistry();
    const images = open({ tool: from("acme/tool:1") });
    await images.fetch();
    const file = `${at.store}/blobs/sha256/${base.digest.slice("sha256:".length)}`;
    const bytes = await Deno.readFile(file);
    bytes[1000] = (bytes[1000] ?? 0) ^ 1;
    await Deno.writeFile(file, bytes);
    const error = await assertRejects(
      () => images.push({ to: target.host, tlsVerify: false }),
      RunError,
    );
    assertEquals(Object.values(error.failures).map(({ code }) => code), ["CONTENT_MISMATCH"]);
    assertEquals(await target.statusOf("/v2/acme/tool/tags/list"), 404);
  });

  it("plans with bytes, and sends nothing, on the command line", async () => {
    await using target = await startRegistry();
    await using proxy = await startFaultProxy(target);
    const sources = { tool: from("acme/tool:1"), web: from("library/web:1", { index: true }) };
    await Deno.writeTextFile(dir.join("images.config.json"), JSON.stringify({ sources }));
    const args = ["push", "--to", proxy.host, "--tls-verify=false"];
    const plan = await cli([...args, "--dry-run"], { cwd: dir.path });
    assertEquals(plan.code, 0, plan.stderr);
    assertStringIncludes(plan.stdout, "to fetch, ");
    assertStringIncludes(plan.stdout, "to send");
    assertEquals(proxy.requests.filter(({ method }) => !["GET", "HEAD"].includes(method)), []);
    const done = await cli(args, { cwd: dir.path });
    assertEquals(done.code, 0, done.stderr);
    const after = await cli([...args, "--dry-run", "--json"], { cwd: dir.path });
    const { sources: planned, bytes } = JSON.parse(after.stdout.trimEnd().split("\n").at(-1) ?? "");
    assertEquals([bytes, planned.map(({ status }: { status: string }) => status)], [0, [
      "present",
      "present",
    ]]);
    assertEquals((await cli(["push"], { cwd: dir.path })).code, 2);
  });

  it("leaves no name for half an image when it is killed, and is finished by the next", async () => {
    await using target = await startRegistry();
    await using relay = startRelay(target);
    const sources = { tool: from("acme/tool:1"), web: from("library/web:1", { index: true }) };
    await Deno.writeTextFile(dir.join("images.config.json"), JSON.stringify({ sources }));
    await cli(["fetch"], { cwd: dir.path });
    for (const bytes of [1, 2 ** 20, 3 * 2 ** 20, 3 * 2 ** 20 + 8_000]) {
      const args = [STOWAGE, "push", "--to", relay.host, "--tls-verify=false"];
      const { promise: cut, resolve } = Promise.withResolvers<void>();
      relay.cutAfter(bytes, resolve);
      const child = new Deno.Command("setsid", {
        args: ["sh", ...args],
        cwd: dir.path,
        env: cleanEnv(),
        clearEnv: true,
        stdin: "null",
        stdout: "null",
        stderr: "null",
      }).spawn();
      await Promise.race([cut, child.status]);
      await run("kill", ["-KILL", "--", `-${child.pid}`]).catch(() => {}); // it may have ended
      await child.status;
      for (const name of ["acme/tool", "library/web"]) {
        const { tags } = await (await target.fetch(`/v2/${name}/tags/list`)).json();
        if (!tags?.includes("1")) continue;
        const folder = dir.join(crypto.randomUUID());
        const copy = ["copy", "--all", "--src-tls-verify=false"];
        await skopeo(...copy, `docker://${target.host}/${name}:1`, `dir:${folder}`);
      }
    }
    const done = await cli(["push", "--to", target.host, "--tls-verify=false"], { cwd: dir.path });
    assertEquals(done.code, 0, done.stderr);
    assertEquals(await served(target, "library/web:1"), index.manifest);
  });
});
