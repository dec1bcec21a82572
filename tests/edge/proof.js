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

export function isProven({ method, url, headers }, service) {
  const [, time, mac] = /^v1;t=(\d+);([0-9a-f]{64})$/.exec(headers["x-edge-proof"] ?? "") ?? [];
  if (!time || Math.abs(Date.now() / 1000 - Number(time)) > 30) return false;
  const fields = FIELDS.map((name) => headers[name] ?? "");
  const text = ["portcullis-edge-v1", time, service, method, url, ...fields].join("\n");
  return createHmac("sha256", Buffer.from(PROOF_KEY, "base64url")).update(text).digest("hex") === mac;
}
