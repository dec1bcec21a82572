// The proof of origin by its description, written a second time to check the first.

import { createHmac, hkdfSync } from "node:crypto";
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
/// What follows where an approval was spent for the request.
const OF_APPROVALS = ["x-approval-id", "x-approval-order-tag"];

/// The key of a service, as `manage-users proof-key` prints it.
export function serviceKey(service, id = "1", root = PROOF_KEY) {
  const purpose = `edge proof key ${id} of ${service}`;
  const key = hkdfSync("sha256", Buffer.from(root, "base64url"), "portcullis", purpose, 32);
  return `${id}:${Buffer.from(key).toString("base64url")}`;
}

/// The proof of a request to a service at this time, in Unix seconds, under its own key unless another one is given.
export function proof({ method, url, headers }, service, time, { key = serviceKey(service), nonce = "test-1" } = {}) {
  const [id, bytes] = key.split(":");
  const of = (names) => names.map((name) => headers[name] ?? "");
  const approved = of(OF_APPROVALS);
  const fields = [...of(FIELDS), ...(approved.join("") === "" ? [] : approved)];
  const text = ["portcullis-edge-v2", id, time, nonce, service, method, url, ...fields].join("\n");
  const mac = createHmac("sha256", Buffer.from(bytes, "base64url")).update(text).digest("hex");
  return `v2;k=${id};t=${time};n=${nonce};${mac}`;
}

export function isProven(request, service, key = serviceKey(service)) {
  const form = /^v2;k=[a-z0-9-]+;t=(\d+);n=([A-Za-z0-9-]+);[0-9a-f]{64}$/;
  const [value, time, nonce] = form.exec(request.headers["x-edge-proof"] ?? "") ?? [];
  if (!time || Math.abs(Date.now() / 1000 - Number(time)) > 30) return false;
  return proof(request, service, time, { key, nonce }) === value;
}
