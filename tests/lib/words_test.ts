import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { inLine, outsideWords, plain } from "../../src/lib/words.ts";

describe("plain()", () => {
  it("leaves what text says, and nothing that moves the cursor or turns text round", () => {
    assertEquals(plain("\x1b[31mred\x1b]0;title\x07 \x9b1mäö\t字\n"), "red äö\t字\n");
    assertEquals(plain("a\u202eb\u2066c\u200fd\u061ce\u2028f\u00adg\r\0"), "abcdefg");
  });
});

describe("inLine()", () => {
  it("lets no text begin a line", () => {
    assertEquals(inLine("x\nremoved  y\tz\r\n"), "x\\nremoved  y\\tz\\n");
  });
});

describe("outsideWords()", () => {
  const cases = {
    'Get "https://a.io/v2/x?sig=secret&a=b": EOF': 'Get "https://a.io/v2/x": EOF',
    'Get \\"https://a.io/x?sig=secret\\": EOF': 'Get \\"https://a.io/x\\": EOF',
    'Get "/v2/x?_state=secret": stopped': 'Get "/v2/x": stopped',
    'Get "javascript:1?account=secret"': 'Get "javascript:1"',
    "see https://a.io/x#secret, or ask": "see https://a.io/x or ask",
    "at http://ann:secret@a.io:80/x?y": "at http://…@a.io:80/x",
    "at https://secret@a.io": "at https://…@a.io",
    "proxy ann:secret@a.io": "proxy …@a.io",
    "is it? yes: a@b.io": "is it? yes: a@b.io",
  };
  for (const [text, told] of Object.entries(cases)) {
    it(`tells no secret of ${text}`, () => assertEquals(outsideWords(text), told));
  }

  it("leaves references as they are", () => {
    const digest = `sha256:${"a".repeat(64)}`;
    for (
      const text of [`docker://a.io/b:1@${digest}`, `app:1@${digest}`, `a.io:5000/b@${digest}`]
    ) {
      assertEquals(outsideWords(text), text);
    }
  });
});
