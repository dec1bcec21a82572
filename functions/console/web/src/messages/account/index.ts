// What the pages about the own account say.
import { catalogue } from "../catalogue.ts";
import en from "./en.json";

/** The texts of profile, security, sessions and API keys. */
export const account = catalogue(en, { hi: () => import("./hi.json") });
