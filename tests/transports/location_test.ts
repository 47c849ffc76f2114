import { assert, assertEquals } from "@std/assert";
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
import { reachOf } from "../../config/registries.ts";
import {
  formatLocation,
  type Reach,
  readLocation,
  readPlace,
  recordPlace,
} from "../../src/transports/mod.ts";

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

describe("readPlace()", () => {
  const reach: Reach = (reference, own = {}, known = {}) => reachOf(reference, own, {}, known);
  /** As the store has it. */
  const recorded = (image: Fallback) => {
    const location = readLocation(image);
    assert(location);
    return JSON.parse(JSON.stringify(recordPlace(location, "/srv/site")));
  };
  const nginx = { domain: "docker.io", path: "library/nginx", tag: "latest" };
  const read: readonly (readonly [Fallback, object])[] = [
    [docker("nginx"), { transport: "docker", reference: nginx, tlsVerify: true }],
    // Who logs in is for the config, or the machine, to say.
    [docker("nginx", { authFile: "a", certDir: "c", tlsVerify: false }), {
      ...{ transport: "docker", reference: nginx, tlsVerify: false },
    }],
    [containersStorage("nginx"), {
      ...{ transport: "containers-storage", reference: nginx, storage: {} },
    }],
    [containersStorage("nginx", { location: "[vfs@graph+run]" }), {
      ...{ transport: "containers-storage", reference: nginx },
      storage: { driver: "vfs", root: "/srv/site/graph", runRoot: "/srv/site/run" },
    }],
    [dockerDaemon("nginx", { daemonHost: "http://ci:2375", certDir: "a", tlsVerify: false }), {
      ...{ transport: "docker-daemon", reference: nginx, tlsVerify: false },
      daemonHost: "http://ci:2375",
    }],
    [fromDir("./image"), { transport: "dir", path: "/srv/site/image" }],
    [fromOci("a:b", { image: "app:1" }), {
      ...{ transport: "oci", path: "/srv/site/a:b", image: "app:1" },
    }],
    [fromOciArchive("/a.tar"), { transport: "oci-archive", path: "/a.tar" }],
    [fromDockerArchive("../a.tar"), { transport: "docker-archive", path: "/srv/a.tar" }],
  ];
  for (const [image, location] of read) {
    it(`reads what was recorded of ${JSON.stringify(image)}`, () => {
      assertEquals<unknown>(readPlace(recorded(image), reach), location);
    });
  }

  it("tells what decides the image from how it is reached", () => {
    assertEquals(recorded(docker("nginx", { tlsVerify: false })), {
      place: { transport: "docker", reference: nginx },
      access: { tlsVerify: false },
    });
    assertEquals(recorded(fromDir("image")), {
      ...{ place: { transport: "dir", path: "/srv/site/image" }, access: {} },
    });
  });

  it("takes what the config says of the registry for more than what was recorded", () => {
    const hardened: Reach = (reference, own = {}, known) =>
      reachOf(reference, own, { "docker.io": { tlsVerify: true, certDir: "/c" } }, known);
    assertEquals<unknown>(readPlace(recorded(docker("nginx", { tlsVerify: false })), hardened), {
      ...{ transport: "docker", reference: nginx, tlsVerify: true, certDir: "/c" },
    });
  });

  it("leaves alone what it does not know", () => {
    const access = { tlsVerify: true };
    const unknown = [
      {},
      { place: {} },
      { place: { transport: "ftp", path: "/a" } },
      { place: { transport: "toString" } },
      { place: { transport: "dir", path: "a" } },
      { place: { transport: "dir", path: "/a", image: "b" } },
      { place: { transport: "docker", reference: nginx } },
      { place: { transport: "docker", reference: "docker.io/library/nginx:latest" }, access },
      { place: { transport: "docker", reference: { ...nginx, tag: "-x" } }, access },
      { place: { transport: "docker", reference: { ...nginx, domain: "a/b" } }, access },
      { place: { transport: "docker", reference: { ...nginx, domain: "me:pw@a.io" } }, access },
      {
        place: { transport: "docker-daemon", reference: nginx, daemonHost: "tcp://me:pw@a" },
        access,
      },
    ];
    for (const each of unknown) {
      assertEquals(readPlace(each, reach), undefined, JSON.stringify(each));
    }
  });
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
