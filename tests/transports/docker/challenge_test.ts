import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import fc from "../../support/fast_check.ts";
import { readChallenges } from "../../../src/transports/docker/challenge.ts";

/** A challenge as plain data. */
type Plain = readonly [scheme: string, parameters: Readonly<Record<string, string>>];

const read = (header: string): Plain[] =>
  readChallenges(header).map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)]);

describe("a header with challenges", () => {
  const cases: readonly (readonly [header: string, expected: readonly Plain[]])[] = [
    ["", []],
    ["Basic", [["basic", {}]]],
    ['Basic realm="a registry"', [["basic", { realm: "a registry" }]]],
    [
      'Bearer realm="https://auth.docker.io/token",service=registry , scope="repository:a/b:pull,push"',
      [["bearer", {
        realm: "https://auth.docker.io/token",
        service: "registry",
        scope: "repository:a/b:pull,push",
      }]],
    ],
    [
      'Negotiate, NTLM abc==, Bearer REALM = "say \\"x, y=z\\"" , Basic realm=a,,',
      [
        ["negotiate", {}],
        ["ntlm", {}],
        ["bearer", { realm: 'say "x, y=z"' }],
        ["basic", { realm: "a" }],
      ],
    ],
    // What is not understood ends it.
    ['Bearer realm="a", "b"', [["bearer", { realm: "a" }]]],
    ['Bearer realm="open', [["bearer", {}]]],
  ];
  for (const [header, expected] of cases) {
    it(`is read: ${header || "(nothing)"}`, () => assertEquals(read(header), [...expected]));
  }

  it("is read as it was written", () => {
    const name = fc.stringMatching(/^[a-z][a-z0-9_-]{0,8}$/);
    const parameters = fc.dictionary(name, fc.string({ maxLength: 20 }), {
      minKeys: 1,
      maxKeys: 4,
      noNullPrototype: true,
    });
    const comma = fc.constantFrom(",", ", ", " ,\t", ",,");
    fc.assert(
      fc.property(fc.array(fc.tuple(name, parameters), { maxLength: 4 }), comma, (list, comma) => {
        const quote = (text: string) => `"${text.replace(/["\\]/g, "\\$&")}"`;
        const header = list.map(([scheme, parameters]) => {
          const pairs = Object.entries(parameters).map(([key, value]) => `${key}=${quote(value)}`);
          return `${scheme} ${pairs.join(comma)}`;
        }).join(comma);
        assertEquals(read(header), list);
      }),
    );
  });

  it("is read to an end, whatever is in it", () => {
    fc.assert(fc.property(fc.string({ maxLength: 200 }), (header) => void readChallenges(header)));
  });
});
