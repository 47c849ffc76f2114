// deno-lint-ignore-file no-console
/**
 * Prints how many tests passed and failed according to deno's JUnit reports, and exits with 1 when
 * any failed or none ran. Takes the exit code of `deno test` and the paths of the reports: a module
 * that does not load fails the run, but is in no report.
 *
 * Suites (`describe`, and tests with steps) are test cases there too, named as the prefix of their
 * children; they count only when they fail of themselves, as a hook does.
 *
 * Regular expressions are enough: deno writes each test case in one shape, its text escaped.
 */

interface Case {
  name: string;
  outcome: "passed" | "failed" | "ignored" | "failed by a step";
}

function outcome(body: string): Case["outcome"] {
  if (/<failure message="\d+ test steps? failed/.test(body)) return "failed by a step";
  if (/<(failure|error)\b/.test(body)) return "failed";
  return body.includes("<skipped") ? "ignored" : "passed";
}

const [exitCode, ...paths] = Deno.args;
const xml = (await Promise.all(paths.map((path) => Deno.readTextFile(path).catch(() => ""))))
  .join();
const cases: Case[] = Array.from(
  xml.matchAll(/<testcase name="([^"]*)"[^>]*>(.*?)<\/testcase>/gs),
  ([, name = "", body = ""]) => ({ name, outcome: outcome(body) }),
);

const suites = new Set(cases.flatMap(({ name }) => {
  const parts = name.split(" &gt; ");
  return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join(" &gt; "));
}));

const count = (wanted: Case["outcome"]) =>
  cases.filter(({ name, outcome }) =>
    outcome === wanted && (outcome === "failed" || !suites.has(name))
  ).length;

const [passed, ignored] = [count("passed"), count("ignored")];
const failed = Math.max(count("failed"), exitCode === "0" ? 0 : 1);
if (ignored > 0) console.log(`ignored: ${ignored}`);
console.log(`tests: ${passed} passed, ${failed} failed`);
Deno.exit(failed > 0 || passed === 0 ? 1 : 0);
