import fc from "fast-check";
import { SEED } from "./seed.ts";

// A failure names its seed; with it in STOWAGE_FAULT_SEED the same cases come again.
fc.configureGlobal({ seed: SEED });

export default fc;
