// What the pages about trading say: accounts at brokers, the way back from a broker, today, providers.
import { catalogue } from "../catalogue.ts";
import en from "./en.json";

/** The texts of accounts at brokers, of the page of the day, and of providers. */
export const trading = catalogue(en, { hi: () => import("./hi.json") });
