import type { ItemName } from "../events.ts";
import { guard } from "../lib/fs/files.ts";
import type { Run } from "../run.ts";
import type { DirImageData } from "../store/image.ts";
import { blobsOf } from "../store/manifest.ts";
import { accepts } from "../tools/skopeo.ts";
import type { Subject } from "../trust/policy.ts";

/**
 * Asks the policy of an image that is here already, by the signatures that are kept with it.
 *
 * @param item The item.
 * @param subject Its name, and how it came.
 * @param image The image.
 * @param run What the run gives.
 * @returns Whether it is accepted.
 * @throws {PolicyError} If a key of the policy is not there.
 */
export async function acceptsStored(
  item: ItemName,
  subject: Subject,
  image: DirImageData,
  { trust, scratch, signal }: Pick<Run, "trust" | "scratch" | "signal">,
): Promise<boolean> {
  const answer = await trust.askStored(item.name, subject);
  if (typeof answer === "boolean") return answer;
  await using work = await scratch.part();
  const blobs = [...blobsOf(image.manifest).keys()];
  const options = { tmpDir: work.path, trust: answer, signal };
  return await guard("write in", work.path, () => accepts(image.path, blobs, options));
}
