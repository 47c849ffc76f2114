import { concat } from "../../src/lib/bytes.ts";
import { fromFileUrl, join, toFileUrl } from "@std/path";
import * as v from "valibot";

/** The kind of completions that are words of the language. */
const KEYWORD = 14;

const MessageSchema = v.object({
  id: v.optional(v.union([v.number(), v.string()])),
  method: v.optional(v.string()),
  params: v.optional(v.unknown()),
  result: v.optional(v.unknown()),
  error: v.optional(v.object({ message: v.string() })),
});
type Message = v.InferOutput<typeof MessageSchema>;

const ItemsSchema = v.array(v.object({ label: v.string(), kind: v.optional(v.number()) }));
const CompletionSchema = v.nullable(
  v.union([ItemsSchema, v.pipe(v.object({ items: ItemsSchema }), v.transform((it) => it.items))]),
);

const ROOT = new URL("../../", import.meta.url);

/** Deno's own language server, as editors start it. */
export class LanguageServer implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #answers = new Map<number, (message: Message) => void>();
  readonly #reading: Promise<void>;
  #next = 1;
  #version = 1;
  #settings: unknown;

  private constructor(private readonly folder: string) {
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["lsp"],
      cwd: folder,
      env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" },
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    this.#writer = this.#child.stdin.getWriter();
    this.#reading = this.#read();
  }

  /**
   * Starts it for a folder, with the dependencies of this checkout.
   *
   * @param folder The folder that an editor has open.
   * @returns The server; `await using` ends it.
   */
  static async start(folder: string): Promise<LanguageServer> {
    const server = new LanguageServer(folder);
    const settings = {
      enable: true,
      config: fromFileUrl(new URL("deno.json", ROOT)),
      importMap: Deno.env.get("STOWAGE_IMPORT_MAP") ?? null,
      suggest: { completeFunctionCalls: false, imports: { autoDiscover: false } },
    };
    server.#settings = settings;
    await server.#request("initialize", {
      processId: Deno.pid,
      rootUri: toFileUrl(folder).href,
      workspaceFolders: [{ uri: toFileUrl(folder).href, name: "images" }],
      capabilities: {
        workspace: { configuration: true },
        textDocument: { completion: { completionItem: {} } },
      },
      initializationOptions: settings,
    });
    await server.#notify("initialized", {});
    return server;
  }

  /**
   * Asks what it offers where a text has its first `|`.
   *
   * @param name The name of the file.
   * @param text The file as it is being written.
   * @returns What it offers, but for words of the language, in alphabetical order.
   */
  async complete(name: string, text: string): Promise<string[]> {
    const at = text.indexOf("|");
    const before = text.slice(0, at).split("\n");
    const uri = await this.#open(name, text.replace("|", ""));
    const result = await this.#request("textDocument/completion", {
      textDocument: { uri },
      position: { line: before.length - 1, character: before.at(-1)?.length ?? 0 },
      context: { triggerKind: 1 },
    });
    await this.#notify("textDocument/didClose", { textDocument: { uri } });
    const items = v.parse(CompletionSchema, result) ?? [];
    return items.filter(({ kind }) => kind !== KEYWORD).map(({ label }) => label).sort();
  }

  async #open(name: string, text: string): Promise<string> {
    const uri = toFileUrl(join(this.folder, name)).href;
    const version = ++this.#version;
    await this.#notify("textDocument/didOpen", {
      textDocument: { uri, languageId: "typescript", version, text },
    });
    return uri;
  }

  async #request(method: string, params?: unknown): Promise<unknown> {
    const id = this.#next++;
    const answer = new Promise<Message>((resolve) => this.#answers.set(id, resolve));
    await this.#send({ id, method, params });
    const { result, error } = await answer;
    if (error) throw new Error(`deno lsp: ${method}: ${error.message}`);
    return result;
  }

  #notify(method: string, params?: unknown): Promise<void> {
    return this.#send({ method, params });
  }

  async #send(message: object): Promise<void> {
    const body = new TextEncoder().encode(JSON.stringify({ jsonrpc: "2.0", ...message }));
    const head = new TextEncoder().encode(`Content-Length: ${body.length}\r\n\r\n`);
    await this.#writer.write(concat(head, body));
  }

  async #read(): Promise<void> {
    let rest: Uint8Array<ArrayBuffer> = new Uint8Array();
    for await (const chunk of this.#child.stdout) {
      rest = concat(rest, chunk);
      for (;;) {
        const head = new TextDecoder().decode(rest.subarray(0, 200));
        const [all = "", length] = /^Content-Length: (\d+)\r\n(?:[^\r]+\r\n)*\r\n/i.exec(head) ??
          [];
        const end = all.length + Number(length);
        if (length === undefined || rest.length < end) break;
        const text = new TextDecoder().decode(rest.subarray(all.length, end));
        rest = rest.slice(end);
        await this.#take(v.parse(MessageSchema, JSON.parse(text)));
      }
    }
  }

  async #take(message: Message): Promise<void> {
    const { id, method, params } = message;
    if (method === undefined) {
      if (typeof id === "number") this.#answers.get(id)?.(message);
    } else if (id !== undefined) {
      const items = v.is(v.object({ items: v.array(v.unknown()) }), params) ? params.items : [];
      const result = method === "workspace/configuration" ? items.map(() => this.#settings) : null;
      await this.#send({ id, result });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#request("shutdown");
    await this.#notify("exit");
    await this.#writer.close().catch(() => {});
    await this.#reading;
    await this.#child.status;
  }
}
