import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { InvalidValueError, parseStorageLocation, type StorageLocation } from "../../config/mod.ts";

const RIGHT: Readonly<Record<string, StorageLocation>> = {
  "/srv/storage": { root: "/srv/storage" },
  "storage": { root: "storage" },
  "../with space": { root: "../with space" },
  "[/srv/storage]": { root: "/srv/storage" },
  "[vfs@/srv/storage]": { driver: "vfs", root: "/srv/storage" },
  "[/srv/storage+/run/storage]": { root: "/srv/storage", runRoot: "/run/storage" },
  "[overlay@/srv/storage+run]": { driver: "overlay", root: "/srv/storage", runRoot: "run" },
};

const WRONG = [
  "",
  "[]",
  "[vfs@]",
  "[@/srv]",
  "[btrfs@/srv]",
  "[/srv",
  "/srv]",
  "vfs@/srv",
  "/srv+/run",
  "[/srv+]",
  "[/srv+/run+/more]",
  "[/srv:mount_program=/bin/x]",
  "/srv:x",
  "[vfs@/srv]nginx",
];

describe("parseStorageLocation()", () => {
  for (const [text, location] of Object.entries(RIGHT)) {
    it(`reads "${text}"`, () => assertEquals(parseStorageLocation(text), location));
  }

  for (const text of WRONG) {
    it(`refuses "${text}"`, () => {
      const error = assertThrows(() => parseStorageLocation(text), InvalidValueError);
      assertEquals(error.value, text);
      assertStringIncludes(error.expected, '"[driver@root+runroot]"');
    });
  }
});
