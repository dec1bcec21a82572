// The edge worker in workerd in front of the sample platform. Prints its address on one line and serves until it is killed.
//
// ROUTES, IDENTITY_URL, SERVICE_TOKEN and EDGE_PROOF_KEY come from the environment, as the worker has them.

import { modules, start, text, worker } from "../edge/edge.js";

const { ROUTES, IDENTITY_URL, SERVICE_TOKEN, EDGE_PROOF_KEY } = process.env;
const variables = {
  ROUTES,
  IDENTITY_URL,
  SERVICE_TOKEN,
  EDGE_PROOF_KEY,
  ALLOWED_ORIGINS: "https://app.example",
  REVOCATION_POLL: "1",
};
const edge = await start([["edge", worker(modules(), text(variables))]]);
console.log(`http://127.0.0.1:${edge.ports.get("edge")}`);
process.on("SIGTERM", () => edge.close().then(() => process.exit()));
