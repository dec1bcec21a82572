// The client of the service: who is signed in, and every request. The access token is in its memory and nowhere else.
import { createClient, type Schemas } from "portcullis-client";
import { askForProof } from "./step-up.ts";

/** The one client of this page. */
export const client = createClient({ onStepUp: askForProof });

/** The bodies of the service by their names in its OpenAPI document. */
export type { Schemas };
