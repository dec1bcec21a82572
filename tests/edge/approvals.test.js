// Orders that a role wants approved: what the edge asks for before it lets one through, and what the service behind hears.

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { Edge } from "./edge.js";
import { apiKey } from "./identity.js";
import { isProven } from "./proof.js";
import { serve } from "./server.js";

const ROLES = {
  admin: {},
  user: { services: ["trading", "portfolio"] },
  careful: { inherits: ["user"], requires: { approval: [{ service: "trading" }] } },
  robotic: { inherits: ["user"], requires: { approval: [{ service: "trading", keys: true }] } },
  large: { inherits: ["user"], requires: { approval: [{ service: "trading", notional_above: "15005" }] } },
};
const ORDER = {
  type: "order", account_id: "acc_0199f3c2a6e47d0c8f21b7e5d4a39c10", exchange: "NSE", symbol: "INFY",
  side: "buy", quantity: "10", order_type: "limit", price: "1500.50",
}; // prettier-ignore
const ORDERS = "/v1/orders";
/// A service that tells repetitions by their `Idempotency-Key`.
const ONCE = "/v1/once";

let service;
let edge;
/// What reached the service.
let arrived = [];
let number = 0;

before(async () => {
  service = await serve(async (request, response) => {
    const parts = [];
    for await (const part of request) parts.push(part);
    const { method, url, headers } = request;
    arrived.push({ method, url, headers, body: Buffer.concat(parts).toString() });
    response.writeHead(201, { "content-type": "application/json" }).end("{}");
  });
  const upstreams = [service.url];
  edge = await Edge.start({
    variables: { ROLE_DEFINITIONS: JSON.stringify(ROLES), REVOCATION_POLL: "0" },
    routes: [
      { prefix: ORDERS, service: "trading", upstreams, critical: true },
      { prefix: ONCE, service: "trading", upstreams, idempotency_keys: true },
      { prefix: "/v1/notes", service: "portfolio", upstreams },
      { prefix: "/v1/open", service: "trading", upstreams, public: true },
    ],
  });
});

beforeEach(() => {
  arrived = [];
  edge.identity.faults.redemptions = undefined;
});

after(async () => {
  await edge?.close();
  await service?.close();
});

/// The id of an approval of this order by this person.
function approved(order = ORDER, user = "usr_alice") {
  number += 1;
  const id = `apr_${number.toString(16).padStart(32, "0")}`;
  edge.identity.approvals.set(id, { user, order });
  return id;
}

const bodyOf = (order) => JSON.stringify({ authorization_details: [order] });

async function place(order, approval, { role = "careful", path = ORDERS, headers = {}, ...options } = {}) {
  const shown = approval === undefined ? {} : { "x-approval-id": approval };
  const body = typeof order === "string" ? order : bodyOf(order);
  const all = { "content-type": "application/json", ...shown, ...headers };
  return edge.as({ roles: [role] }, path, { method: "POST", body, headers: all, ...options });
}

async function refused(answer, status, code) {
  const { json, text, status: given } = await answer;
  assert.deepEqual([given, json?.code], [status, code], text);
}

test("without an approval nothing reaches the service, and the client is told what to do", async () => {
  const answer = await place(ORDER);
  assert.deepEqual([answer.status, answer.json.code], [403, "approval_required"]);
  assert.match(answer.json.detail, /POST \/v1\/approvals.*X-Approval-Id/);
  assert.equal(answer.headers["content-type"], "application/problem+json");
  // Once more with a token that is remembered, and by methods that may change something, too.
  const token = await edge.identity.token({ roles: ["careful"] });
  for (const method of ["POST", "POST", "PUT", "PATCH"]) {
    await refused(edge.as(token, ORDERS, { method, body: bodyOf(ORDER) }), 403, "approval_required");
  }
  assert.deepEqual([arrived.length, edge.identity.counts.redemptions], [0, 0]);
  for (const method of ["GET", "DELETE"]) assert.equal((await edge.as(token, ORDERS, { method })).status, 201, method);
  await refused(edge.as(token, ORDERS, { headers: { upgrade: "websocket", connection: "upgrade" } }), 403, "approval_required");
});

test("the order that was approved goes through once, byte by byte", async () => {
  const id = approved();
  const spaced = JSON.stringify({ authorization_details: [ORDER] }, null, 2);
  const lies = { "x-approval-order-tag": "mine", "X_Approval_Id": "apr_1", "content-encoding": "gzip", "content-type": "text/plain; charset=utf-7" };
  const answer = await place(spaced, id, { headers: lies });
  assert.equal(answer.status, 201, answer.text);
  const [{ headers, body, ...rest }] = arrived;
  assert.equal(body, spaced);
  assert.deepEqual([headers["x-approval-id"], headers["x-approval-order-tag"]], [id, id.slice(-20)]);
  assert.deepEqual([headers["content-type"], headers["content-encoding"], headers["x_approval_id"]], ["application/json", undefined, undefined]);
  assert.ok(isProven({ ...rest, headers }, "trading"));
  for (const name of ["x-approval-id", "x-approval-order-tag"]) {
    const without = Object.fromEntries(Object.entries(headers).filter(([known]) => known !== name));
    assert.ok(!isProven({ ...rest, headers: without }, "trading"), `${name} is part of the proof`);
  }
  await refused(place(spaced, id), 409, "already_redeemed");
  assert.equal(arrived.length, 1);
});

test("another order, another person's approval and a made-up one stop at the edge", async () => {
  const id = approved();
  await refused(place({ ...ORDER, quantity: "11" }, id), 409, "details_mismatch");
  await refused(place({ ...ORDER, iceberg: "1" }, id), 409, "details_mismatch");
  await refused(place(ORDER, approved(ORDER, "usr_bela")), 404, "not_found");
  await refused(place(ORDER, `apr_${"0".repeat(32)}`), 404, "not_found");
  await refused(place(ORDER, "../../v1/internal/revocations"), 403, "approval_required");
  await refused(place("quantity=10", id), 400, "bad_request");
  const doubled = bodyOf(ORDER).replace("{", '{"user_id":"usr_bela",');
  assert.notEqual((await place(doubled, approved(ORDER, "usr_bela"))).status, 201);
  await refused(place("x".repeat(8 * 1024 + 1), id), 413, "payload_too_large");
  assert.equal(arrived.length, 0);
  assert.equal((await place(ORDER, id)).status, 201, "nothing was spent by any of it");
});

test("of many requests at once with one approval one goes through", async () => {
  const id = approved();
  const token = await edge.identity.token({ roles: ["careful"] });
  const send = () => edge.as(token, ORDERS, { method: "POST", body: bodyOf(ORDER), headers: { "x-approval-id": id } });
  const answers = await Promise.all(Array.from({ length: 20 }, send));
  assert.equal(answers.filter(({ status }) => status === 201).length, 1);
  assert.equal(answers.filter(({ json }) => json?.code === "already_redeemed").length, 19);
  assert.equal(arrived.length, 1);
});

test("while nobody can tell whether it was approved, nothing goes through", { timeout: 60_000 }, async () => {
  const id = approved();
  for (const fault of [500, 401, 403, 302, "garbage", "large", { user_id: "usr_bela", order_tag: "7" }, "hang"]) {
    edge.identity.faults.redemptions = fault;
    const answer = await place(ORDER, id);
    assert.deepEqual([answer.status, answer.json?.code], [503, "unavailable"], JSON.stringify(fault));
    assert.ok(answer.headers["retry-after"]);
  }
  assert.equal(arrived.length, 0);
});

test("a repetition goes through where the service tells it by its key, and only with that key", async () => {
  const [id, other] = [approved(), approved()];
  const keyed = (key) => ({ path: ONCE, headers: { "idempotency-key": key, connection: "idempotency-key" } });
  for (let time = 0; time < 2; time += 1) assert.equal((await place(ORDER, id, keyed("order 7"))).status, 201);
  assert.deepEqual(arrived.map(({ headers }) => headers["idempotency-key"]), ["order 7", "order 7"], "the service is told");
  await refused(place(ORDER, id, keyed("order 8")), 409, "already_redeemed");
  await refused(place(ORDER, id, { path: ONCE }), 409, "already_redeemed");
  assert.equal((await place(ORDER, other, { headers: { "idempotency-key": "order 9" } })).status, 201);
  await refused(place(ORDER, other, { headers: { "idempotency-key": "order 9" } }), 409, "already_redeemed");
});

test("a role asks keys and not people, or for large orders alone, or for nothing", async () => {
  const holder = { active: true, user_id: "usr_alice", roles: ["robotic"], scopes: ["trading:*"] };
  edge.identity.apiKeys.set(apiKey(9), holder);
  const byKey = (headers) => edge.send(ORDERS, { method: "POST", body: bodyOf(ORDER), headers: { "x-api-key": apiKey(9), ...headers } });
  await refused(byKey({}), 403, "approval_required");
  assert.equal((await byKey({ "x-approval-id": approved() })).status, 201);
  assert.equal((await place(ORDER, undefined, { role: "robotic" })).status, 201);

  assert.equal((await place(ORDER, undefined, { role: "large" })).status, 201);
  await refused(place({ ...ORDER, price: "1500.51" }, undefined, { role: "large" }), 403, "approval_required");
  await refused(place({ ...ORDER, side: "sell" }, undefined, { role: "large" }), 403, "approval_required");
  const large = { ...ORDER, quantity: "1000" };
  assert.equal((await place(large, approved(large), { role: "large" })).status, 201);

  arrived = [];
  const asked = edge.identity.counts.redemptions;
  assert.equal((await place("x".repeat(100_000), approved(), { role: "user" })).status, 201);
  assert.equal((await place("a note", approved(), { path: "/v1/notes" })).status, 201);
  assert.equal((await place("anything", approved(), { path: "/v1/open" })).status, 201);
  assert.equal(edge.identity.counts.redemptions, asked);
  for (const { headers } of arrived) assert.equal(headers["x-approval-id"], undefined, "nobody vouches for it");
  assert.deepEqual(arrived.map(({ body }) => body.length), [100_000, 6, 8]);
});
