import { stripTypeScriptTypes } from "node:module";
import {
  type Expression,
  type ImportDeclaration,
  type ObjectExpression,
  parse,
  type Program,
  type Property,
} from "acorn";

/** A source that a config is to have. */
export interface NewSource {
  /** Its name. */
  readonly name: string;
  /** The reference of its image. */
  readonly reference: string;
  /** What else is said of it. */
  readonly options: Readonly<Record<string, unknown>>;
}

/** Where a text is changed. */
interface Edit {
  readonly at: number;
  /** The end of what goes; nothing goes if absent. */
  readonly to?: number;
  readonly text: string;
}

/** A module as it is written, and with spaces for what JavaScript does not know. */
interface Module {
  readonly text: string;
  readonly script: string;
}

const PACKAGE = "@stowage/stowage";
const BUILDER = "docker";

/**
 * Adds sources to the text of a config that has the usual form, one `export default` of an object or
 * of `defineConfig({ … })`. All else in it stays as it is.
 *
 * @param text The config, a module.
 * @param sources What is added.
 * @returns The new text, and the names that it had; `undefined` if it has another form.
 */
export function addToModule(
  text: string,
  sources: readonly NewSource[],
): { readonly text: string; readonly names: readonly string[] } | undefined {
  const script = scriptOf(text);
  const program = script === undefined ? undefined : parseModule(script);
  const config = program && findConfig(program);
  if (
    script === undefined || !config || config.properties.some(({ type }) => type !== "Property")
  ) return undefined;
  const builder = findBuilder(program, text);
  if (!builder) return undefined;
  const lines = (indent: string) =>
    sources.map((source) => `${indent}${entryOf(source, builder.name)},\n`).join("");
  const section = find(config, "sources");
  if (!section) {
    const indent = `${indentOf(text, config.start)}  `;
    const added = `${indent}sources: {\n${lines(`${indent}  `)}${indent}},\n`;
    const edits = [...builder.edits, ...prepend(text, config, added)];
    return { text: apply(text, edits), names: [] };
  }
  if (section.value.type !== "ObjectExpression") return undefined;
  const names = section.value.properties.map((each) => each.type === "Property" && nameOf(each));
  if (!names.every((name) => typeof name === "string")) return undefined;
  const last = section.value.properties.at(-1);
  const isLined = last && text.slice(section.value.start, last.start).includes("\n");
  const indent = isLined ? indentOf(text, last.start) : `${indentOf(text, section.start)}  `;
  const edits = [...builder.edits, ...append({ text, script }, section.value, lines(indent))];
  return { text: apply(text, edits), names };
}

/**
 * What a source is called in the text of a config.
 *
 * @param source The source.
 * @param builder The name of `docker()`.
 * @returns Its line, without indent and comma.
 */
export function entryOf({ name, reference, options }: NewSource, builder = BUILDER): string {
  const key = /^[\p{ID_Start}_$][\p{ID_Continue}$]*$/u.test(name) ? name : JSON.stringify(name);
  const more = Object.entries(options).map(([key, value]) => `${key}: ${JSON.stringify(value)}`);
  const tail = more.length > 0 ? `, { ${more.join(", ")} }` : "";
  return `${key}: ${builder}(${JSON.stringify(reference)}${tail})`;
}

function scriptOf(text: string): string | undefined {
  try {
    const script = stripTypeScriptTypes(text);
    return script.length === text.length ? script : undefined;
  } catch {
    return undefined; // what is wrong with it, loading it says better
  }
}

function parseModule(script: string): Program | undefined {
  try {
    return parse(script, { ecmaVersion: "latest", sourceType: "module" });
  } catch {
    return undefined;
  }
}

function findConfig(program: Program): ObjectExpression | undefined {
  for (const statement of program.body) {
    if (statement.type !== "ExportDefaultDeclaration") continue;
    const { declaration } = statement;
    if (declaration.type === "FunctionDeclaration" || declaration.type === "ClassDeclaration") {
      return undefined;
    }
    return objectOf(declaration, program);
  }
  return undefined;
}

function objectOf(expression: Expression, program: Program): ObjectExpression | undefined {
  if (expression.type === "ObjectExpression") return expression;
  if (expression.type === "Identifier") {
    const declarations = program.body.flatMap((statement) =>
      statement.type === "VariableDeclaration" ? statement.declarations : []
    );
    const found = declarations.find(({ id }) =>
      id.type === "Identifier" && id.name === expression.name
    );
    return found?.init ? objectOf(found.init, { ...program, body: [] }) : undefined;
  }
  if (expression.type !== "CallExpression" || expression.callee.type !== "Identifier") {
    return undefined;
  }
  const [config] = expression.arguments;
  return config?.type === "ObjectExpression" ? config : undefined;
}

/** What `docker()` is called in the module, and what has to be changed for it to be there. */
function findBuilder(
  { body }: Program,
  text: string,
): { readonly name: string; readonly edits: readonly Edit[] } | undefined {
  const imports = body.filter((statement): statement is ImportDeclaration =>
    statement.type === "ImportDeclaration" && statement.source.value === PACKAGE
  );
  let last: { readonly start: number; readonly end: number } | undefined;
  for (const { specifiers } of imports) {
    for (const specifier of specifiers) {
      if (specifier.type === "ImportNamespaceSpecifier") {
        return { name: `${specifier.local.name}.${BUILDER}`, edits: [] };
      }
      if (specifier.type !== "ImportSpecifier") continue;
      const { imported, local } = specifier;
      if (imported.type === "Identifier" && imported.name === BUILDER) {
        return { name: local.name, edits: [] };
      }
      last = specifier;
    }
  }
  if (!last) {
    const edit = { at: 0, text: `import { ${BUILDER} } from "${PACKAGE}";\n` };
    return text.startsWith("#!") ? undefined : { name: BUILDER, edits: [edit] };
  }
  return { name: BUILDER, edits: [{ at: last.end, text: `, ${BUILDER}` }] };
}

function find(object: ObjectExpression, name: string): Property | undefined {
  return object.properties.find((each): each is Property =>
    each.type === "Property" && nameOf(each) === name
  );
}

function nameOf({ key, computed, shorthand }: Property): string | undefined {
  if (computed || shorthand) return undefined;
  if (key.type === "Identifier") return key.name;
  return key.type === "Literal" ? String(key.value) : undefined;
}

/** Puts lines behind the last property of an object. */
function append(
  { text, script }: Module,
  object: ObjectExpression,
  lines: string,
): readonly Edit[] {
  const last = object.properties.at(-1);
  const close = object.end - 1;
  if (!last) {
    const line = text.lastIndexOf("\n", close) + 1;
    return line > object.start ? [{ at: line, text: lines }] : prepend(text, object, lines);
  }
  const end = endOf(last, text, script);
  const comma = /^(?:\s|\/\/.*|\/\*[\s\S]*?\*\/)*,/.exec(text.slice(end, close));
  const from = end + (comma?.[0].length ?? 0);
  const edits = comma ? [] : [{ at: end, text: "," }];
  // Behind the comments of that line; or it gets a line of its own.
  const line = /^[^\S\n]*(?:\/\/.*)?\n/.exec(text.slice(from, close));
  return line
    ? [...edits, { at: from + line[0].length, text: lines }]
    : [...edits, { at: from, to: close, text: `\n${lines}${indentOf(text, object.start)}` }];
}

/** The end of a property, with what only TypeScript says of it, such as `as const`. */
function endOf(property: { readonly end: number }, text: string, script: string): number {
  const rest = /^\s*/.exec(script.slice(property.end))?.[0].length ?? 0;
  return property.end + text.slice(property.end, property.end + rest).trimEnd().length;
}

/** Puts lines before the first property of an object. */
function prepend(text: string, object: ObjectExpression, lines: string): readonly Edit[] {
  const from = object.start + 1;
  const line = /^[^\S\n]*(?:\/\/.*)?\n/.exec(text.slice(from, object.end - 1));
  if (line) return [{ at: from + line[0].length, text: lines }];
  const indent = indentOf(text, object.start);
  const [first] = object.properties;
  return [{
    at: from,
    to: first?.start ?? object.end - 1,
    text: `\n${lines}${indent}${first ? "  " : ""}`,
  }];
}

function indentOf(text: string, at: number): string {
  const line = text.slice(text.lastIndexOf("\n", at - 1) + 1, at);
  return /^\s*/.exec(line)?.[0] ?? "";
}

function apply(text: string, edits: readonly Edit[]): string {
  // From the end, so that the places of the others stay where they are.
  return edits.toReversed().toSorted((one, other) => other.at - one.at).reduce(
    (text, { at, to = at, text: added }) => text.slice(0, at) + added + text.slice(to),
    text,
  );
}
