const LOOPBACK = /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/;

/**
 * Tells whether `fetch` would use a proxy where skopeo does not: for hosts of this machine, and for
 * any if `NO_PROXY` is `*`. What else the variables say they both read alike.
 *
 * @param url Where a request goes.
 * @returns Whether it would.
 */
export function isWronglyProxied({ hostname, protocol }: URL): boolean {
  const name = protocol === "https:" ? "HTTPS_PROXY" : "HTTP_PROXY";
  if (!read(name) && !read("ALL_PROXY")) return false;
  const exceptions = read("NO_PROXY").split(",").map((host) => host.trim());
  if (exceptions.includes("*")) return true;
  return LOOPBACK.test(hostname) && !exceptions.includes(hostname);
}

/** A variable, which may be written in either way. */
function read(name: string): string {
  return Deno.env.get(name) || Deno.env.get(name.toLowerCase()) || "";
}
