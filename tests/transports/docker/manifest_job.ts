/**
 * Reads a manifest, with the environment of this process.
 *
 * @module
 */

import { parseReference } from "../../../config/reference.ts";
import { digestOf } from "../../../src/lib/fs/files.ts";
import { clientWith } from "./fixture.ts";

const [image = "", how = "{}"] = Deno.args;
using client = clientWith();
const said = await client.manifest(parseReference(image), JSON.parse(how)).then(
  (bytes) => digestOf(bytes),
  (error) => `${error.constructor.name}: ${error.message}`,
);
await Deno.stdout.write(new TextEncoder().encode(said));
