// What the page of approvals says.
import { catalogue } from "../catalogue.ts";
import en from "./en.json";

/** The texts of orders that wait for an approval. */
export const approvals = catalogue(en, { hi: () => import("./hi.json") });
