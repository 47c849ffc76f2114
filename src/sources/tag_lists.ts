import { FetchError } from "../errors/mod.ts";
import type { TagsNode } from "../graph/node.ts";
import type { Run } from "../run.ts";
import { PlaceError } from "../transports/absence.ts";
import { Registries } from "../transports/docker/registries.ts";
import { transportOf } from "../transports/mod.ts";
import { hintFor } from "./places.ts";
import { SkopeoRunner } from "./skopeo_runner.ts";

/** Lists the tags of repositories. */
export class TagLists {
  readonly #registries: Registries;
  readonly #skopeo: SkopeoRunner;

  /**
   * @param run The run.
   */
  constructor(private readonly run: Run) {
    this.#registries = new Registries(run);
    this.#skopeo = new SkopeoRunner(run, this.#registries);
  }

  /**
   * Lists the tags of the repository of a source.
   *
   * @param node The source.
   * @returns All of them, in the registry's order.
   * @throws {FetchError} If the registry does not list them.
   * @throws {InterruptedError} If the run was interrupted.
   */
  async read(
    node: Pick<TagsNode, "key" | "name" | "location" | "repository">,
  ): Promise<readonly string[]> {
    const { root, scratch } = this.run;
    const transport = transportOf(node.location);
    const location = transport.absolute(node.location, root);
    const place = await transport.open(location, { scratch: () => scratch.folder() });
    const { image: { inRegistry: reference }, how } = place;
    if (!reference) throw new TypeError(`Cannot ask "${place.label}" for tags`);
    try {
      return await this.#skopeo.withRetry(
        node,
        place,
        () => this.#registries.tags(reference, how),
      );
    } catch (error) {
      if (!(error instanceof PlaceError)) throw error;
      const { reason, message, hint } = error;
      const attempt = {
        transport: place.transport,
        reference: `docker://${node.repository}`,
        reason: reason === "unsupported" ? "unreachable" as const : reason,
        message: `its tags cannot be listed: ${message}`,
        ...(hint && { hint }),
      };
      const of = { source: node.name, locations: [node.location] as const };
      throw new FetchError(node.name, [attempt], hintFor([attempt], of, { skipped: 0 }));
    }
  }
}
