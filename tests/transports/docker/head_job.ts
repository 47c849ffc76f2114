/**
 * Asks what a tag stands for, with the environment of this process.
 *
 * @module
 */

import { parseReference } from "../../../config/reference.ts";
import { clientWith } from "./bench.ts";

const [image = "", how = "{}"] = Deno.args;
using client = clientWith();
const said = await client.head(parseReference(image), JSON.parse(how)).then(
  (head) => head?.digest ?? "nothing",
  (error) => `${error.constructor.name}: ${error.message}`,
);
await Deno.stdout.write(new TextEncoder().encode(said));
