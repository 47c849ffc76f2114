import { abortable } from "@std/async/abortable";
import { judgeStatus } from "../../lib/status.ts";
import { readMachineCerts } from "./certificates.ts";
import { RegistryError } from "./errors.ts";
import type { Proxy } from "./proxy.ts";
import { formatBasic } from "./tokens.ts";

const MAX_HEAD = 1024;
/** As far as its status, in bytes. */
const STATUS_LINE = "HTTP/1.1 200".length;

/**
 * Finds out why a proxy lets nobody pass to a host: Deno's client says only that it does not.
 *
 * @param proxy The proxy.
 * @param url Where the request was to go.
 * @param signal Ends it.
 * @returns The reason; of what the proxy says, it has the status only.
 */
export async function explainRefusal(
  proxy: Proxy,
  url: URL,
  signal: AbortSignal,
): Promise<RegistryError> {
  const status = await askStatus(proxy, url, signal).catch(() => undefined);
  return refusal(proxy, url.host, status);
}

/**
 * The error of a proxy that lets nobody pass.
 *
 * @param proxy The proxy.
 * @param host The host that it does not lead to.
 * @param status What it answers, where that is known.
 * @returns The error; its hint says what to do about the proxy.
 */
export function refusal(
  { label, variable }: Proxy,
  host: string,
  status: number | undefined,
): RegistryError {
  // It did not say yes a moment ago.
  const { reason, isTransient } = judgeStatus(status === 200 ? 503 : status ?? 503);
  const answers = status === undefined ? "does not let pass" : `answers ${status}`;
  const hint = status === 407
    ? `write user and password into ${variable}, as http://user:password@${label}`
    : `"${label}" is what ${variable} names: ask who runs it to let "${host}" pass, or name that ` +
      "in NO_PROXY if it can be reached without";
  const message = `the proxy "${label}" ${answers} for "${host}"`;
  return new RegistryError(reason, message, { isTransient, hint });
}

async function askStatus(proxy: Proxy, url: URL, signal: AbortSignal): Promise<number | undefined> {
  const { protocol, hostname, port } = proxy.url;
  const isSecure = protocol === "https:";
  const to = {
    hostname: hostname.replace(/^\[|\]$/g, ""),
    port: Number(port) || (isSecure ? 443 : 80),
  };
  using connection = isSecure
    ? await Deno.connectTls({ ...to, caCerts: await readMachineCerts() })
    : await Deno.connect({ ...to, signal });
  const line = await abortable(connect(connection, proxy, url), signal);
  const [, status] = /^HTTP\/1\.[01] (\d{3})\b/.exec(line) ?? [];
  return status === undefined ? undefined : Number(status);
}

/** The beginning of the answer. */
async function connect(connection: Deno.Conn, { login }: Proxy, url: URL): Promise<string> {
  const target = `${url.hostname}:${url.port || 443}`;
  const lines = [
    `CONNECT ${target} HTTP/1.1`,
    `Host: ${target}`,
    ...login ? [`Proxy-Authorization: ${formatBasic(login)}`] : [],
  ];
  await connection.write(new TextEncoder().encode(`${lines.join("\r\n")}\r\n\r\n`));
  const head = new Uint8Array(MAX_HEAD);
  let size = 0;
  while (size < STATUS_LINE) {
    const read = await connection.read(head.subarray(size));
    if (read === null) break;
    size += read;
  }
  return new TextDecoder().decode(head.subarray(0, size));
}
