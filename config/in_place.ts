/**
 * What a builder returns where it stands in its config. It is plain data, and nobody can call it: the
 * signature makes the compiler leave the builder for last, as it does with calls that return
 * functions, so that it knows the names of the config by then, and editors can offer them.
 */
export interface InPlace {
  (this: never): never;
}
