// The edge worker in workerd in front of the sample platform. Prints its address on one line and serves until it is killed.
//
// ROUTES, IDENTITY_URL, SERVICE_TOKEN, EDGE_PROOF_KEY and ALLOWED_ORIGINS come from the environment, as the worker has them.

import { modules, start, text, worker } from "../edge/edge.js";

const { ROUTES, IDENTITY_URL, SERVICE_TOKEN, EDGE_PROOF_KEY, ALLOWED_ORIGINS } = process.env;
const variables = {
  ROUTES,
  IDENTITY_URL,
  SERVICE_TOKEN,
  EDGE_PROOF_KEY,
  ALLOWED_ORIGINS,
  REVOCATION_POLL: "1",
};
const edge = await start([["edge", worker(modules(), text(variables))]]);
console.log(`http://127.0.0.1:${edge.ports.get("edge")}`);
process.on("SIGTERM", () => edge.close().then(() => process.exit()));
