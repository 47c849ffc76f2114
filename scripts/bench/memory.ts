import { pushImage, randomLayer, startRegistry } from "../../tests/support/mod.ts";
import type { Case } from "./cases.ts";
import { wholeOf } from "./content.ts";
import { fetchersOf } from "./fetchers.ts";
import { folderIn } from "./folder.ts";
import { formatSize } from "./units.ts";
import { sentBy } from "./wire.ts";

/** Whether memory depends on how large a layer is. */
export const memoryOfFetch: Case = async ({ dir, resources, mb }) => {
  const registry = resources.use(await startRegistry());
  return await Promise.all([50, 500].map(async (size) => {
    const id = `memory-${size}mb`;
    const image = await pushImage(registry, `apps/${id}:1`, {
      layers: [await randomLayer({ size: mb(size) })],
    });
    const { oneByOne, stowage } = await fetchersOf(await folderIn(dir, id), [image]);
    return {
      id,
      title: `an image with a layer of ${formatSize(mb(size))}, for peak memory`,
      contenders: [oneByOne, stowage],
      rounds: () => 1,
      sent: sentBy(registry),
      whole: wholeOf([image]),
    };
  }));
};
