// What the pages for administrators say.
import { catalogue } from "../catalogue.ts";
import en from "./en.json";

/** The texts of administration. */
export const admin = catalogue(en, { hi: () => import("./hi.json") });
