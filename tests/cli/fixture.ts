import { fixture, type RegistryFixture } from "../support/fixture.ts";
import {
  busyboxLayer,
  nginxLikeLayer,
  type PushedImage,
  type PushedIndex,
  pushImage,
  pushIndex,
  randomLayer,
} from "../support/mod.ts";

/** A registry with what the tests of the command line ask for. */
export interface AppsFixture extends RegistryFixture {
  /** `apps/web:1`, for linux/amd64 and linux/arm64. */
  readonly index: PushedIndex;
  readonly web: readonly [amd64: PushedImage, arm64: PushedImage];
  /** `apps/tool:1`; it shares its first layer with `apps/web:1`. */
  readonly tool: PushedImage;
}

/** Sets it up, and puts the images into it. */
export async function appsFixture(): Promise<AppsFixture> {
  const parts = await fixture({ registry: true });
  const { registry } = parts;
  const base = await busyboxLayer();
  const layers = [base, await nginxLikeLayer()];
  const web = [
    await pushImage(registry, "apps/web", { layers, platform: "linux/amd64" }),
    await pushImage(registry, "apps/web", { layers, platform: "linux/arm64" }),
  ] as const;
  const tool = await pushImage(registry, "apps/tool:1", {
    layers: [base, await randomLayer({ size: 400_000 })],
  });
  return { ...parts, web, tool, index: await pushIndex(registry, "apps/web:1", web) };
}

/** A source without TLS. */
export function source(reference: string, options: Record<string, unknown> = {}) {
  return { type: "docker", reference, tlsVerify: false, ...options };
}
