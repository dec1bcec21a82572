// The worker as it is deployed, asked about very many tokens.

import http from "node:http";
import { Edge } from "./edge.js";

/// A worker that knows these public keys. `admits(token)` says whether a request with the token is forwarded.
export async function gate(jwks) {
  const edge = await Edge.start({
    variables: {
      REVOCATION_POLL: "0",
      JWKS_BUNDLE: JSON.stringify({ keys: jwks }),
      // Every role opens it, and so does none of ours: what is compared is the token.
      ROLE_DEFINITIONS: JSON.stringify({ user: { services: ["*"] }, admin: { services: ["*"] } }),
    },
  });
  // While the issuer is down nobody waits for a key id that is not in the set.
  edge.identity.faults.jwks = 500;
  const agent = new http.Agent({ keepAlive: true });
  const admits = (token) =>
    new Promise((resolve, reject) => {
      const headers = { authorization: `Bearer ${token}` };
      const request = http.get(edge.url, { agent, path: "/v1/portfolio", headers }, (response) => {
        response.resume();
        response.on("end", () => {
          if (response.statusCode === 200) resolve(true);
          else if ([400, 401, 403, 503].includes(response.statusCode)) resolve(false);
          else reject(new Error(`${response.statusCode} for ${token}`));
        });
      });
      request.on("error", reject);
    });
  return { admits, close: () => (agent.destroy(), edge.close()) };
}
