// Whose key a proof is made with, how one key takes the place of another, and what can be told of a proof sent again.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Edge } from "./edge.js";
import { isProven, proof, serviceKey } from "./proof.js";
import { serve } from "./server.js";

let edge;
let failing;
let other;
const attempts = [];

before(async () => {
  failing = await serve((request, response) => {
    attempts.push({ method: request.method, url: request.url, headers: request.headers });
    response.writeHead(503).end();
  });
  other = await serve((request, response) => {
    attempts.push({ method: request.method, url: request.url, headers: request.headers });
    response.end("{}");
  });
  edge = await Edge.start({
    variables: { REVOCATION_POLL: "0" },
    routes: [
      { prefix: "/v1/portfolio/next", service: "portfolio", proof_key: "2" },
      { prefix: "/v1/portfolio/twice", service: "portfolio", upstreams: [failing.url, other.url] },
    ],
  });
});
after(() => Promise.all([edge.close(), failing.close(), other.close()]));

const proofOf = ({ json }) => json.headers["x-edge-proof"];

test("the key of one service makes no proof for another", async () => {
  const { json } = await edge.as({}, "/v1/portfolio");
  assert.ok(isProven(json, "portfolio"));
  // With its own key, portfolio forges what it has seen or anything else; trading checks with its own.
  const now = Math.floor(Date.now() / 1000);
  const forged = { ...json, headers: { ...json.headers, "x-user-id": "usr_admin" } };
  forged.headers["x-edge-proof"] = proof(forged, "trading", now, { key: serviceKey("portfolio") });
  assert.ok(isProven(forged, "trading", serviceKey("portfolio")), "it is a proof by that key");
  assert.ok(!isProven(forged, "trading"), "and none for trading");
});

test("another key is that of one service, and its id is in the route table", async () => {
  const [first, next, trading] = await Promise.all([
    edge.as({}, "/v1/portfolio"),
    edge.as({}, "/v1/portfolio/next"),
    edge.as({ roles: ["trader"] }, "/v1/trading"),
  ]);
  assert.match(proofOf(next), /^v2;k=2;/);
  assert.ok(isProven(next.json, "portfolio", serviceKey("portfolio", "2")));
  assert.ok(!isProven(next.json, "portfolio"), "who has the first key alone");
  assert.ok(!isProven(first.json, "portfolio", serviceKey("portfolio", "2")), "who has the second alone");
  assert.ok(isProven(first.json, "portfolio") && isProven(trading.json, "trading"), "nobody else notices");
});

test("equal requests of one moment have proofs of their own", async () => {
  const token = await edge.identity.token();
  const headers = { "x-request-id": "chosen-by-the-client" };
  const answers = await Promise.all(Array.from({ length: 20 }, () => edge.as(token, "/v1/portfolio", { headers })));
  assert.ok(answers.every(({ json }) => isProven(json, "portfolio") && json.headers["x-request-id"] === headers["x-request-id"]));
  assert.equal(new Set(answers.map(proofOf)).size, 20);
});

test("each attempt at an upstream has a proof of its own, so that none is a replay to the next", async () => {
  assert.equal((await edge.as({}, "/v1/portfolio/twice")).status, 200);
  assert.equal(attempts.length, 2);
  assert.ok(attempts.every((attempt) => isProven(attempt, "portfolio")));
  assert.notEqual(attempts[0].headers["x-edge-proof"], attempts[1].headers["x-edge-proof"]);
});
