import {
  busyboxLayer,
  nginxLikeLayer,
  type PushedImage,
  type PushedIndex,
  pushImage,
  pushIndex,
  randomLayer,
  type Registry,
  startRegistry,
} from "../support/mod.ts";

/** A registry with what the tests of the command line ask for. */
export interface Fixture extends AsyncDisposable {
  readonly registry: Registry;
  /** `apps/web:1`, for linux/amd64 and linux/arm64. */
  readonly index: PushedIndex;
  readonly web: readonly [amd64: PushedImage, arm64: PushedImage];
  /** `apps/tool:1`; it shares its first layer with `apps/web:1`. */
  readonly tool: PushedImage;
}

/** Starts a registry and puts images into it. */
export async function startFixture(): Promise<Fixture> {
  const registry = await startRegistry();
  const base = await busyboxLayer();
  const layers = [base, await nginxLikeLayer()];
  const web = [
    await pushImage(registry, "apps/web", { layers, platform: "linux/amd64" }),
    await pushImage(registry, "apps/web", { layers, platform: "linux/arm64" }),
  ] as const;
  const tool = await pushImage(registry, "apps/tool:1", {
    layers: [base, await randomLayer({ size: 400_000 })],
  });
  const index = await pushIndex(registry, "apps/web:1", web);
  return {
    registry,
    index,
    web,
    tool,
    [Symbol.asyncDispose]: () => registry[Symbol.asyncDispose](),
  };
}

/** A source without TLS. */
export function source(reference: string, options: Record<string, unknown> = {}) {
  return { type: "docker", reference, tlsVerify: false, ...options };
}
