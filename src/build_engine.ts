// What a build runs on, loaded in one go: one after the other takes twice as long.
import "./run.ts";
export { build } from "./build/build.ts";
export { recordRun } from "./build/record_run.ts";
