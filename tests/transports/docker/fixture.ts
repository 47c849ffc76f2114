import { parseReference, type Reference } from "../../../config/reference.ts";
import { RegistryClient, type RegistryContext } from "../../../src/transports/docker/client.ts";
import type { PushedImage } from "../../support/mod.ts";

/**
 * Makes a client for a test.
 *
 * @param context What is not as usual.
 * @returns The client; dispose of it.
 */
export function clientWith(context: Partial<RegistryContext> = {}): RegistryClient {
  const { signal } = new AbortController();
  return new RegistryClient({ signal, stallTimeout: 20_000, perRegistry: 4, ...context });
}

/**
 * The reference of an image.
 *
 * @param image The image.
 * @param digest A digest in place of its tag.
 * @returns The reference.
 */
export function referenceTo(image: PushedImage, digest?: string): Reference {
  return parseReference(digest ? `${image.name}@${digest}` : image.reference);
}
