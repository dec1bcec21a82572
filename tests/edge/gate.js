// The gate itself, the very WebAssembly that is deployed, in this process: for comparing very many tokens.

import { createPublicKey, verify } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { SERVICE_TOKEN } from "./identity.js";
import { PROOF_KEY } from "./edge.js";
import { WORKER } from "./tools.js";

/// A gate that knows these public keys. `admits(token)` says whether a request with the token would be forwarded.
export async function gate(jwks) {
  const file = path.join(fs.mkdtempSync(path.join(os.tmpdir(), "edge-gate-")), "gate.mjs");
  fs.copyFileSync(path.join(WORKER, "build/portcullis_edge.js"), file);
  const { initSync, Edge } = await import(pathToFileURL(file));
  initSync({ module: fs.readFileSync(path.join(WORKER, "build/portcullis_edge_bg.wasm")) });
  let outcome;
  const shell = {
    verify: (ticket, key, signature, signed) => (outcome = [ticket, verify("sha256", signed, keys.get(key), signature)]),
  };
  const variables = {
    IDENTITY_URL: "https://identity.example",
    SERVICE_TOKEN,
    EDGE_PROOF_KEY: PROOF_KEY,
    REVOCATION_POLL: "0",
    JWKS_BUNDLE: JSON.stringify({ keys: jwks }),
    ROUTES: JSON.stringify([{ prefix: "/x", service: "portfolio", upstreams: ["https://x.example"] }]),
    // Every role opens it, and so does none of ours: what is compared is the token.
    ROLE_DEFINITIONS: JSON.stringify({ user: { services: ["*"] }, admin: { services: ["*"] } }),
  };
  const now = Date.now();
  const edge = new Edge(JSON.stringify(variables), "test", now, shell);
  const keys = new Map(JSON.parse(edge.keys()).map(([number, key]) => [number, createPublicKey({ key, format: "jwk" })]));
  return (token) => {
    const ask = Buffer.from(`GET\nhttps://edge.example/x\nBearer ${token}\n\n\n\nid\n\n`);
    const verdict = edge.admit(ask, now, now) ?? edge.resume(...outcome);
    if (verdict.startsWith("K")) return false;
    if (verdict.startsWith("A")) return false;
    if (verdict.startsWith("F")) return true;
    throw new Error(verdict);
  };
}
