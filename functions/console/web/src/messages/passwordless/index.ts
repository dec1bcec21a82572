// What is said of accounts without a password, on the page of security and where a mailed link leads back in.
import { catalogue } from "../catalogue.ts";
import en from "./en.json";

/** The texts of doing without a password. */
export const passwordless = catalogue(en, { hi: () => import("./hi.json") });
