// What the pages before a sign-in say.
import { catalogue } from "../catalogue.ts";
import en from "./en.json";

/** The texts of signing in, registering and choosing passwords. */
export const signIn = catalogue(en, { hi: () => import("./hi.json") });
