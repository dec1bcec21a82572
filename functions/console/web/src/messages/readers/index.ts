// What the page about readers of broker credentials says.
import { catalogue } from "../catalogue.ts";
import en from "./en.json";

/** The texts of who read one's broker credentials. */
export const readers = catalogue(en, { hi: () => import("./hi.json") });
