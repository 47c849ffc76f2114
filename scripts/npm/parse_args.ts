/** `@std/cli/parse-args` from npm, typed; aliases and dotted names come out as `unknown`. */
import * as std from "deno-std/cli/parse_args.js";

type Names<T extends string> = T | readonly T[];

export interface ParseOptions<
  Booleans extends string,
  Strings extends string,
  Collected extends string,
  Negated extends string,
  Defaults extends object,
> {
  boolean?: Names<Booleans>;
  string?: Names<Strings>;
  collect?: Names<Collected>;
  negatable?: Names<Negated>;
  default?: Defaults;
  alias?: Record<string, Names<string>>;
  stopEarly?: boolean;
  "--"?: boolean;
  unknown?: (arg: string, key?: string, value?: unknown) => unknown;
}

type Value<Name, Type, Negated, Defaults> =
  | (Name extends Negated ? Type | false : Type)
  | (Name extends keyof Defaults ? Defaults[Name] : never);

export type Args<
  Booleans extends string = never,
  Strings extends string = never,
  Collected extends string = never,
  Negated extends string = never,
  Defaults extends object = Record<never, never>,
> =
  & Record<string, unknown>
  & { [N in Exclude<Booleans, Collected>]: Value<N, boolean, never, Defaults> }
  & { [N in Booleans & Collected]: Value<N, boolean[], never, Defaults> }
  & { [N in Exclude<Strings, Collected | keyof Defaults>]?: Value<N, string, Negated, Defaults> }
  & { [N in Exclude<Strings & keyof Defaults, Collected>]: Value<N, string, Negated, Defaults> }
  & { [N in Strings & Collected]: Value<N, string[], Negated, Defaults> }
  & { _: (string | number)[]; "--"?: string[] };

export const parseArgs: <
  const Booleans extends string = never,
  const Strings extends string = never,
  const Collected extends string = never,
  const Negated extends string = never,
  Defaults extends object = Record<never, never>,
>(
  args: readonly string[],
  options?: ParseOptions<Booleans, Strings, Collected, Negated, Defaults>,
) => Args<Booleans, Strings, Collected, Negated, Defaults> = std.parseArgs;
