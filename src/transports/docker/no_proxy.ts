import { BlockList, isIP } from "node:net";
import { domainToASCII } from "node:url";

/**
 * Whether a host is asked without a proxy, as Go decides it.
 *
 * @param url What is asked for there.
 * @param list The value of `NO_PROXY`.
 * @returns Whether the host is this machine, or the list names it.
 */
export function isExcluded({ protocol, hostname, port: written }: URL, list: string): boolean {
  const host = hostname.replace(/^\[|\]$/g, "");
  const port = written || (protocol === "https:" ? "443" : "80");
  if (host === "localhost" || isIn(host, "127.0.0.0", 8) || isIn(host, "::1", 128)) return true;
  return list.split(",").map((entry) => entry.trim().toLowerCase()).some((entry) => {
    if (entry === "*") return true;
    const [, network = "", bits] = /^([^/]+)\/(\d{1,3})$/.exec(entry) ?? [];
    if (isIP(network)) return isIn(host, network, Number(bits));
    const [, bracketed, bare, own] = /^(?:\[([^\]]*)\]|([^:]*)):([^:]*)$/.exec(entry) ?? [];
    const name = bracketed ?? bare ?? entry;
    if (name === "" || (own && own !== port)) return false;
    if (isIP(name)) return isIn(host, name, isIP(name) === 4 ? 32 : 128);
    return !isIP(host) && isNamed(host, name);
  });
}

/** `.a.io` and `*.a.io` stand for what is below `a.io`, and `a.io` for itself as well. */
function isNamed(host: string, entry: string): boolean {
  const name = entry.replace(/^\*(?=\.)/, "");
  const ascii = domainToASCII(name.replace(/^\./, "")) || name;
  return host.endsWith(`.${ascii}`) || (!name.startsWith(".") && host === ascii);
}

function isIn(address: string, network: string, bits: number): boolean {
  const family = (text: string) => isIP(text) === 4 ? "ipv4" : "ipv6";
  if (!isIP(address) || bits > (isIP(network) === 4 ? 32 : 128)) return false;
  const list = new BlockList();
  list.addSubnet(network, bits, family(network));
  return list.check(address, family(address));
}
