import type { Credentials } from "./auth_file.ts";
import { Unserved } from "./errors.ts";

/** A proxy of the environment. */
export interface Proxy {
  /** Where it is, without a login. */
  readonly url: URL;
  /** As a person is told of it: `host:port`. */
  readonly label: string;
  /** Who logs in there. */
  readonly login?: Credentials;
  /** The variable that names it. */
  readonly variable: string;
}

/** Reads a variable of the environment. */
export type ReadVariable = (name: string) => string | undefined;

const WRITTEN =
  /^(?:(?<scheme>https?|socks5h?):\/\/)?(?:(?<user>[^\s:@/]*)(?::(?<password>[^\s@/]*))?@)?(?<host>[\w.-]+|\[[\da-f:.]+\])(?<port>:\d{1,5})?\/?$/i;

/**
 * Finds the proxy of a request as Go does, so that skopeo goes the same way:
 * https://pkg.go.dev/golang.org/x/net/http/httpproxy. `ALL_PROXY` means nothing to it.
 *
 * @param url Where the request goes.
 * @param read Reads the environment.
 * @returns The proxy, or `undefined` where there is none, or it is not to be used.
 * @throws {Unserved} If it depends on the version of Go what the variables mean.
 */
export async function findProxy(
  url: URL,
  read: ReadVariable = (name) => Deno.env.get(name),
): Promise<Proxy | undefined> {
  const variable = url.protocol === "https:" ? "HTTPS_PROXY" : "HTTP_PROXY";
  const either = (names: readonly string[]) => names.map(read).find(Boolean) ?? "";
  const choose = async (order: (name: string) => string[]) => {
    const proxy = either(order(variable));
    if (proxy === "") return "";
    const { isExcluded } = await import("./no_proxy.ts"); // most machines have no proxy
    return isExcluded(url, either(order("NO_PROXY"))) ? "" : proxy;
  };
  // New versions look at the names in small letters first.
  const proxy = await choose((name) => [name, name.toLowerCase()]);
  if (proxy !== await choose((name) => [name.toLowerCase(), name])) {
    throw new Unserved(`${variable} or NO_PROXY says something else in small letters`);
  }
  if (proxy === "") return undefined;
  // There a request may set it: https://go.dev/s/cgihttpproxy
  if (variable === "HTTP_PROXY" && read("REQUEST_METHOD")) {
    throw new Unserved("HTTP_PROXY is not used where REQUEST_METHOD is set");
  }
  return parseProxy(proxy, variable);
}

/** What is written in another way, each version of Go reads in a way of its own. */
function parseProxy(text: string, variable: string): Proxy {
  const { scheme = "http", user, password = "", host = "", port = "" } =
    WRITTEN.exec(text)?.groups ?? {};
  const address = `${scheme.toLowerCase()}://${host}${port}`;
  try {
    const url = new URL(address);
    const login = user !== undefined &&
      { user: decodeURIComponent(user), password: decodeURIComponent(password) };
    return { url, label: `${host}${port}`, variable, ...login && { login } };
  } catch {
    throw new Unserved(`${variable} names no proxy`);
  }
}
