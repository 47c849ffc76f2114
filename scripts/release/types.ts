/** Writes the types of a module, of each file only what its users can see: types.ts FOLDER */
import { ensureDir } from "@std/fs";
import { dirname, fromFileUrl, join, relative, resolve } from "@std/path";
import ts from "typescript";

if (import.meta.main) {
  const [folder = "dist/types"] = Deno.args;
  await writeTypes(fromFileUrl(new URL("../../", import.meta.url)), "mod.ts", resolve(folder));
}

/** A declaration file, and which of its declarations somebody needs. */
interface Declarations {
  readonly source: ts.SourceFile;
  /** Statements by the names that they declare. */
  readonly named: ReadonlyMap<string, readonly ts.Statement[]>;
  /** What is imported, by local name. */
  readonly imported: ReadonlyMap<string, { readonly from: string; readonly name: string }>;
  readonly kept: Set<ts.Statement>;
}

/**
 * Writes the types of a module and, of what it imports, those that these name.
 *
 * @param root The folder of all modules.
 * @param entry The module, from there.
 * @param folder Where the declaration files go.
 */
export async function writeTypes(root: string, entry: string, folder: string): Promise<void> {
  const files = new Map<string, Declarations>();
  const read = async (file: string) => {
    const known = files.get(file);
    if (known) return known;
    const made = declarationsOf(file, await Deno.readTextFile(file));
    files.set(file, made);
    return made;
  };
  const todo: { readonly file: string; readonly name: string }[] = [];
  const want = (from: string, file: string, name: string) =>
    todo.push({ file: resolve(dirname(file), from), name });
  const first = await read(join(root, entry));
  for (const statement of first.source.statements) {
    first.kept.add(statement);
    if (!ts.isExportDeclaration(statement)) continue;
    const from = moduleOf(statement.moduleSpecifier);
    if (from === undefined) continue;
    const { exportClause } = statement;
    if (!exportClause) want(from, first.source.fileName, "*");
    else if (ts.isNamedExports(exportClause)) {
      for (const { propertyName, name } of exportClause.elements) {
        want(from, first.source.fileName, (propertyName ?? name).text);
      }
    }
  }
  for (const { file, name } of todo) {
    const { source, named, imported, kept } = await read(file);
    const statements = name === "*" ? [...source.statements] : named.get(name) ?? [];
    const star = source.statements.filter(isStar);
    for (const statement of statements.length > 0 ? statements : star) {
      if (kept.has(statement) || ts.isImportDeclaration(statement)) continue;
      kept.add(statement);
      const from = ts.isExportDeclaration(statement) && moduleOf(statement.moduleSpecifier);
      if (ts.isExportDeclaration(statement) && from) {
        const { exportClause } = statement;
        if (!exportClause) want(from, file, "*");
        else if (ts.isNamedExports(exportClause)) {
          for (const each of exportClause.elements) {
            want(from, file, (each.propertyName ?? each.name).text);
          }
        }
        continue;
      }
      for (const used of identifiersIn(statement)) {
        if (named.has(used)) todo.push({ file, name: used });
        const outer = imported.get(used);
        if (outer) want(outer.from, file, outer.name);
      }
    }
  }
  for (const [file, declarations] of files) {
    const to = join(folder, relative(root, file).replace(/\.ts$/, ".d.ts"));
    await ensureDir(dirname(to));
    await Deno.writeTextFile(to, textOf(declarations));
  }
}

function isStar(statement: ts.Statement): boolean {
  return ts.isExportDeclaration(statement) && !statement.exportClause;
}

function declarationsOf(fileName: string, text: string): Declarations {
  const compilerOptions = { target: ts.ScriptTarget.ESNext, module: ts.ModuleKind.ESNext };
  const { outputText } = ts.transpileDeclaration(text, { fileName, compilerOptions });
  const source = ts.createSourceFile(fileName, outputText, ts.ScriptTarget.ESNext, true);
  const named = new Map<string, ts.Statement[]>();
  const imported = new Map<string, { from: string; name: string }>();
  const name = (name: string, statement: ts.Statement) =>
    named.set(name, [...named.get(name) ?? [], statement]);
  for (const statement of source.statements) {
    if (ts.isImportDeclaration(statement)) {
      const from = moduleOf(statement.moduleSpecifier);
      const bindings = statement.importClause?.namedBindings;
      if (from === undefined || !bindings || !ts.isNamedImports(bindings)) continue;
      for (const each of bindings.elements) {
        imported.set(each.name.text, { from, name: (each.propertyName ?? each.name).text });
      }
    } else if (ts.isExportDeclaration(statement)) {
      const { exportClause } = statement;
      if (!exportClause || !ts.isNamedExports(exportClause)) continue;
      for (const each of exportClause.elements) name(each.name.text, statement);
    } else if (ts.isVariableStatement(statement)) {
      for (const each of statement.declarationList.declarations) {
        if (ts.isIdentifier(each.name)) name(each.name.text, statement);
      }
    } else if (
      ts.isInterfaceDeclaration(statement) || ts.isTypeAliasDeclaration(statement) ||
      ts.isClassDeclaration(statement) || ts.isFunctionDeclaration(statement)
    ) {
      if (statement.name) name(statement.name.text, statement);
    }
  }
  return { source, named, imported, kept: new Set() };
}

/** The module of an import or export, where that is one of ours. */
function moduleOf(specifier: ts.Expression | undefined): string | undefined {
  return specifier && ts.isStringLiteral(specifier) && specifier.text.startsWith(".")
    ? specifier.text
    : undefined;
}

function identifiersIn(node: ts.Node): Set<string> {
  const found = new Set<string>();
  const visit = (node: ts.Node) => {
    if (ts.isIdentifier(node)) found.add(node.text);
    ts.forEachChild(node, visit);
  };
  visit(node);
  return found;
}

function textOf({ source, imported, kept }: Declarations): string {
  const used = new Set([...kept].flatMap((statement) => [...identifiersIn(statement)]));
  const imports = [...imported].filter(([local]) => used.has(local)).map(([local, outer]) => {
    const name = local === outer.name ? local : `${outer.name} as ${local}`;
    return `import type { ${name} } from "${outer.from}";\n`;
  });
  const statements = source.statements.filter((each) => kept.has(each))
    .map((each) => each.getFullText(source));
  const text = `${imports.join("")}${statements.join("")}\nexport {};\n`;
  return text.replace(/(from ")(\.[^"]+)\.ts"/g, '$1$2.d.ts"');
}
