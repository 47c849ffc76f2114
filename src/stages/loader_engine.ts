import type { ContainerLoaderOptions } from "../../config/mod.ts";

/** What the stage has to know of an engine. */
export interface LoaderEngine {
  /**
   * The format of archives that keeps most of an image: docker's own has neither the manifest nor
   * names with a digest.
   */
  readonly format: "docker-archive" | "oci-archive";
  /** What it calls an image by: the image id, or the digest of the manifest or the index. */
  readonly ids: "images" | "manifests";
  /** How many names an archive may have; the others are given when it is loaded. */
  readonly holdsNames: "one" | "all";
  /** The folder that it loads archives from itself; absent where our script has it load them. */
  readonly folder?: string;
  /** What the unit needs before it, in the words of systemd.unit(5). */
  readonly needs: string;
}

const ENGINES: { readonly [Name in ContainerLoaderOptions["engine"]]: LoaderEngine } = {
  podman: {
    format: "oci-archive",
    ids: "images",
    holdsNames: "one",
    needs: "RequiresMountsFor=/var/lib/containers/storage\nAfter=local-fs.target",
  },
  docker: {
    format: "docker-archive",
    ids: "images",
    holdsNames: "one",
    needs: "Requires=docker.service\nAfter=docker.service",
  },
  containerd: {
    format: "oci-archive",
    ids: "manifests",
    holdsNames: "all",
    needs: "Requires=containerd.service\nAfter=containerd.service",
  },
  // https://docs.k3s.io/installation/airgap, https://docs.rke2.io/install/airgap
  k3s: {
    format: "oci-archive",
    ids: "manifests",
    holdsNames: "all",
    folder: "/var/lib/rancher/k3s/agent/images",
    needs: "",
  },
  rke2: {
    format: "oci-archive",
    ids: "manifests",
    holdsNames: "all",
    folder: "/var/lib/rancher/rke2/agent/images",
    needs: "",
  },
};

/**
 * Finds an engine.
 *
 * @param name Its name.
 * @returns What the stage has to know of it.
 */
export function loaderEngine(name: ContainerLoaderOptions["engine"]): LoaderEngine {
  return ENGINES[name];
}
