import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { toFileUrl } from "@std/path";
import { describe, it } from "@std/testing/bdd";
import { formatReport } from "@stowage/stowage";
import { forThisFile } from "../support/fixture.ts";
import { tempDir } from "../support/mod.ts";
import { exampleReport } from "./example.ts";
import { readPixels } from "./png.ts";

const dir = await forThisFile(tempDir());

const FLAGS = [
  ...["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"],
  ...["--no-first-run", "--disable-component-update", "--disable-sync", "--hide-scrollbars"],
  ...[
    "--enable-logging=stderr",
    "--window-size=1200,2400",
    `--user-data-dir=${dir.join("profile")}`,
  ],
];

/** Opens a page in Chromium. */
async function chromium(
  page: string,
  ...flags: string[]
): Promise<{ dom: string; told: string[] }> {
  const { code, stdout, stderr } = await new Deno.Command("timeout", {
    args: ["60", "chromium", ...FLAGS, ...flags, toFileUrl(page).href],
    stdin: "null",
  }).output();
  const said = new TextDecoder().decode(stderr);
  assertEquals(code, 0, said);
  return {
    dom: new TextDecoder().decode(stdout),
    told: said.split("\n").filter((line) => line.includes(":CONSOLE")),
  };
}

/** Writes the page of a report whose words would fetch from a server, and counts what that is asked. */
async function writePage(): Promise<{ path: string; asked: string[] } & AsyncDisposable> {
  const asked: string[] = [];
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, ({ url }) => {
    asked.push(url);
    return new Response();
  });
  const base = `http://127.0.0.1:${server.addr.port}`;
  const words =
    `"></style></title></svg><img src="${base}/img"><script src="${base}/js"></script>` +
    `<style>@import "${base}/css"</style>`;
  const path = dir.join("report.html");
  await Deno.writeTextFile(path, await formatReport(exampleReport(words), "html"));
  return { path, asked, [Symbol.asyncDispose]: () => server.shutdown() };
}

describe("the page of a report, in a browser", () => {
  it("runs nothing, loads nothing, and shows others' words as they are", async () => {
    await using page = await writePage();
    const { dom, told } = await chromium(page.path, "--dump-dom");
    assertEquals([told, page.asked], [[], []]);
    assertEquals(dom.match(/<(script|img|style)\b/g), ["<style"]);
    assertStringIncludes(dom, '/srv/"&gt;&lt;/style&gt;');
    assertEquals(dom.match(/<section>/g)?.length, 5);
    assertEquals(dom.match(/<g id="node\d+" class="node (source|stage)">/g)?.length, 3);
  });

  it("is light or dark as its reader wants it, and not empty", async () => {
    await using page = await writePage();
    const shots = [];
    for (const [name, scheme] of [["dark", 0], ["light", 1]] as const) {
      const png = dir.join(`${name}.png`);
      const { told } = await chromium(
        page.path,
        `--screenshot=${png}`,
        `--blink-settings=preferredColorScheme=${scheme}`,
      );
      assertEquals(told, []);
      shots.push(await readPixels(await Deno.readFile(png)));
    }
    const [dark, light] = shots;
    assert(dark && light);
    assert(dark.at(3, 3).every((part) => part < 64), `${dark.at(3, 3)}`);
    assert(light.at(3, 3).every((part) => part > 224), `${light.at(3, 3)}`);
    for (const shot of shots) assert(shot.colours() > 50, "a picture, bars and text");
    assertEquals(page.asked, []);
  });

  it("prints", async () => {
    await using page = await writePage();
    const pdf = dir.join("report.pdf");
    await chromium(page.path, `--print-to-pdf=${pdf}`, "--no-pdf-header-footer");
    const text = new TextDecoder("latin1").decode(await Deno.readFile(pdf));
    assert(text.startsWith("%PDF-"));
    assert((text.match(/\/Type \/Page\b/g)?.length ?? 0) >= 2);
  });
});
