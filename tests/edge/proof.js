// The proof of origin by its description, written a second time to check the first.

import { createHmac } from "node:crypto";
import { PROOF_KEY } from "./edge.js";

const FIELDS = [
  "x-user-id",
  "x-user-email",
  "x-user-roles",
  "x-user-scopes",
  "x-session-id",
  "x-auth-method",
  "x-request-id",
  "x-client-address",
];

/// The proof of a request at this time, in Unix seconds.
export function proof({ method, url, headers }, service, time, key = PROOF_KEY) {
  const fields = FIELDS.map((name) => headers[name] ?? "");
  const text = ["portcullis-edge-v1", time, service, method, url, ...fields].join("\n");
  return `v1;t=${time};${createHmac("sha256", Buffer.from(key, "base64url")).update(text).digest("hex")}`;
}

export function isProven(request, service) {
  const [value, time] = /^v1;t=(\d+);[0-9a-f]{64}$/.exec(request.headers["x-edge-proof"] ?? "") ?? [];
  if (!time || Math.abs(Date.now() / 1000 - Number(time)) > 30) return false;
  return proof(request, service, time) === value;
}
