import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { skopeoWords } from "../../src/tools/skopeo_words.ts";

describe("skopeoWords()", () => {
  const cases = {
    "reading manifest 1 in a.io/x: denied: you sent Basic c2Vj":
      "reading manifest 1 in a.io/x: denied",
    "errors: unauthorized: secret denied: secret": "errors: unauthorized",
    "x: manifest unknown: secret: more": "x: manifest unknown",
    "toomanyrequests: see https://secret": "toomanyrequests",
    "error getting credentials - err: exit status 1, out: `secret\\nx`":
      "error getting credentials - err: exit status 1",
    'error parsing HTTP 403 response body: invalid character: "<b>secret"':
      "error parsing HTTP 403 response body",
    'uploading: StatusCode: 500, "secret"': "uploading: StatusCode: 500",
    'Get "http://a.io/": malformed HTTP response "secret"':
      'Get "http://a.io/": malformed HTTP response',
    'parse "http://secret\\x1b": net/url: invalid': "parse: net/url: invalid",
    "x509: certificate signed by unknown authority":
      "x509: certificate signed by unknown authority",
  };
  for (const [text, told] of Object.entries(cases)) {
    it(`tells of ${text} no more than it must`, () => assertEquals(skopeoWords(text), told));
  }

  it("keeps the lines behind one that another wrote, and is short", () => {
    const log = 'level=warning msg="denied: secret"\nlevel=fatal msg="it failed"';
    assertEquals(skopeoWords(log), 'level=warning msg="denied\nlevel=fatal msg="it failed"');
    assertEquals(skopeoWords("x".repeat(200_000)).length, 1001);
  });
});
