import { exists } from "@std/fs/exists";
import { dirname, join } from "@std/path";
import { ConfigFileError } from "../../errors/mod.ts";
import { runDeno } from "../../tools/deno.ts";
import { findReadable, type LoadOptions, withFlags } from "./load.ts";
import { sdkFolder, sdkUrl } from "./sdk.ts";
import { sdkTypes } from "./sdk_types.ts";

/**
 * Checks the types of a config that is a module, in its project, as its editor does.
 *
 * @param file The config.
 * @param options Notes, signal, whether to download.
 * @returns Whether they were checked: not where the running stowage was built without its types.
 * @throws {ConfigFileError} If they do not fit; the message has every place.
 */
export async function checkTypes(file: string, options: LoadOptions): Promise<boolean> {
  const project = await findReadable(file, {});
  const hasTypes = sdkUrl().endsWith(".ts") || await exists(join(sdkFolder() ?? "", "types"));
  if (!project?.hasSdk && !hasTypes) return false;
  const types = project?.hasSdk ? undefined : await sdkTypes(options);
  const { code, stderr } = await withFlags(project, (deno, flags) => {
    const cached = options.isOffline || Deno.env.get("STOWAGE_CACHED_ONLY")
      ? ["--cached-only"]
      : [];
    const how = ["check", "--quiet", ...(project ? [] : ["--no-config"]), ...cached, ...flags];
    return runDeno(deno, [...how, file], { cwd: dirname(file), signal: options.signal });
  }, types);
  options.signal?.throwIfAborted();
  if (code === 0) return true;
  const text = stderr.replace(
    /\n*(Found \d+ errors?\.\s*)?error: Type checking failed\.[\s\S]*$/,
    "",
  );
  throw new ConfigFileError(
    `Cannot use the config "${file}": its types do not fit\n${text.trim()}`,
    {
      hint: "--no-types leaves types unchecked",
    },
  );
}
