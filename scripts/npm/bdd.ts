/** What `@std/testing/bdd` and `node:test` have in common, over the latter. */
import * as node from "node:test";

type Body = () => void | Promise<void>;
type Hook = (fn: Body) => void;

interface Register<Fn> {
  (name: string, fn: Fn): void;
  ignore(name: string, fn: Fn): void;
  skip(name: string, fn: Fn): void;
  only(name: string, fn: Fn): void;
}

type Options = Pick<node.TestOptions, "skip" | "only">;

function register<Fn>(
  add: (name: string, options: Options, fn: Fn) => unknown,
): Register<Fn> {
  const having = (options: Options) => (name: string, fn: Fn) => void add(name, options, fn);
  const skip = having({ skip: true });
  return Object.assign(having({}), { ignore: skip, skip, only: having({ only: true }) });
}

export const describe: Register<() => void> = register(node.describe);
export const it: Register<Body> = register(node.it);
export const test: Register<Body> = it;

export const before: Hook = (fn) => node.before(fn);
export const beforeAll: Hook = before;
export const after: Hook = (fn) => node.after(fn);
export const afterAll: Hook = after;
export const beforeEach: Hook = (fn) => node.beforeEach(fn);
export const afterEach: Hook = (fn) => node.afterEach(fn);
