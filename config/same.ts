/**
 * Tells whether two types have the same keys, as deep as they are nested, with the same types;
 * whether lists are readonly does not count. It keeps an interface and its schema together:
 *
 * ```ts ignore
 * true satisfies Same<v.InferOutput<typeof TreeSchema>, TreeInput>;
 * ```
 */
export type Same<A, B> = Identical<Plain<A>, Plain<B>>;

/** Functions of such types are assignable only where the types in them are identical. */
type Identical<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true
  : false;

/** Intersections as one object, lists readonly, records without what `Partial` adds to them. */
type Plain<T> = T extends readonly (infer Item)[] ? readonly Plain<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: Plain<string extends Key ? NonNullable<T[Key]> : T[Key]> }
  : T;
