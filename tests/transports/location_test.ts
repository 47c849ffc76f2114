import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  containersStorage,
  docker,
  dockerDaemon,
  type Fallback,
  fromDir,
  fromDockerArchive,
  fromOci,
  fromOciArchive,
  parseReference,
} from "../../config/mod.ts";
import { formatLocation, readLocation } from "../../src/transports/mod.ts";

const NGINX = parseReference("nginx");

const LOCATIONS: Readonly<Record<string, Fallback>> = {
  "docker://docker.io/library/nginx:latest": docker("nginx", { authFile: "a", tlsVerify: false }),
  "containers-storage:docker.io/library/nginx:latest": containersStorage("nginx"),
  "containers-storage:[/srv]quay.io/a:1": containersStorage("quay.io/a:1", { location: "/srv" }),
  "containers-storage:[vfs@/srv+/run]quay.io/a:1": containersStorage("quay.io/a:1", {
    location: "[overlay@/srv+/run]",
    driver: "vfs",
  }),
  "docker-daemon:docker.io/library/nginx:latest": dockerDaemon("nginx", { certDir: "a" }),
  "dir:./image": fromDir("./image"),
  "oci:layout": fromOci("layout"),
  "oci:layout:app": fromOci("layout", { image: "app" }),
  "oci-archive:a.tar:app": fromOciArchive("a.tar", { image: "app" }),
  "docker-archive:a.tar": fromDockerArchive("a.tar"),
};

describe("formatLocation()", () => {
  for (const [text, image] of Object.entries(LOCATIONS)) {
    it(`writes ${text}`, () => {
      const location = readLocation(image);
      assertEquals(location && formatLocation(location), text);
    });
  }
});

describe("readLocation()", () => {
  it("checks certificates unless told otherwise", () => {
    assertEquals(readLocation(docker("nginx")), {
      transport: "docker",
      reference: NGINX,
      tlsVerify: true,
    });
    assertEquals(readLocation(docker("nginx", { tlsVerify: false, authFile: "a" })), {
      transport: "docker",
      reference: NGINX,
      tlsVerify: false,
      authFile: "a",
    });
  });

  it("looks in a storage for its own reference, else for the source's", () => {
    const named = readLocation(containersStorage("quay.io/a:1"), { reference: NGINX });
    assertEquals(named, {
      transport: "containers-storage",
      reference: parseReference("quay.io/a:1"),
      storage: {},
    });
    assertEquals(readLocation(containersStorage({ driver: "vfs" }), { reference: NGINX }), {
      transport: "containers-storage",
      reference: NGINX,
      storage: { driver: "vfs" },
    });
    assertEquals(readLocation(containersStorage()), undefined);
  });
});
