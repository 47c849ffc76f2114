/**
 * Says what a machine with the environment of this process knows: its credentials for a repository,
 * its endpoints of an image, and what skopeo is told of registries. It runs in a process of its own,
 * whose environment no other has.
 *
 * @module
 */

import { parseReference } from "../../../config/reference.ts";
import { findCertDir, readCertificates } from "../../../src/transports/docker/certificates.ts";
import { findCredentials } from "../../../src/transports/docker/credentials.ts";
import { findEndpoints } from "../../../src/transports/docker/endpoints.ts";
import { readRegistriesConf } from "../../../src/transports/docker/registries_conf.ts";
import { Scratch } from "../../../src/store/scratch.ts";
import { Trust } from "../../../src/trust/trust.ts";

const [image = ""] = Deno.args;
const reference = parseReference(image);
const { signal } = new AbortController();

async function answer(): Promise<unknown> {
  const settings = await readRegistriesConf();
  const helpers = settings.credentialHelpers;
  const certDir = await findCertDir(reference.domain);
  await using scratch = new Scratch();
  const trust = new Trust({}, Deno.cwd(), scratch, () => {});
  return {
    credentials: await findCredentials(reference.domain, reference.path, {
      helpers,
      signal,
      stallTimeout: 60_000,
    }),
    domains: findEndpoints(reference, settings).map(({ reference }) => reference.domain),
    certDir,
    certificates: await readCertificates(certDir),
    registriesConf: (await trust.readRegistriesConf())?.text,
  };
}

const said = await answer().catch((error) => ({ error: error.constructor.name + error.message }));
await Deno.stdout.write(new TextEncoder().encode(JSON.stringify(said)));
