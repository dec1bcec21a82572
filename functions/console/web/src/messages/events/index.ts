// What audit trails say: every type of event in words, who did it, and the filters.
import { catalogue } from "../catalogue.ts";
import en from "./en.json";

/** The texts of audit trails, one's own and everybody's. */
export const events = catalogue(en, { hi: () => import("./hi.json") });
