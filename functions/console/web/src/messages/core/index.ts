// What every page says: the frame, times, failures.
import { catalogue } from "../catalogue.ts";
import en from "./en.json";

/** The texts of the frame and of the components. */
export const core = catalogue(en, { hi: () => import("./hi.json") });
