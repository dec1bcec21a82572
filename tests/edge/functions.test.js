// The Worker in workerd in front of the function binaries: whose request it is, and that there is no other way in.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { Edge } from "./edge.js";
import { deployment } from "./functions.js";
import { proof, serviceKey } from "./proof.js";
import { ROOT } from "./tools.js";

const PASSWORD = "copper lantern drifts upstream";
const ASHA = "asha@example.com";
const HERS = "203.0.113.7";
const THEIRS = "198.51.100.66";
const PUBLIC = ["/v1/auth", "/v1/audit", "/v1/users"];

let functions;
let edge;

before(async () => {
  functions = await deployment({ REQUIRE_EDGE: "true", ARGON2_MEMORY_KIB: "64" });
  const { EDGE_PROOF_KEY, SERVICE_TOKENS } = functions.secrets;
  edge = await Edge.start({
    variables: {
      EDGE_PROOF_KEY,
      SERVICE_TOKEN: JSON.parse(SERVICE_TOKENS).edge[0],
      IDENTITY_URL: functions.url,
      ROUTES: JSON.stringify(
        PUBLIC.map((prefix) => ({ prefix, service: "identity", upstreams: [functions.url], public: true })),
      ),
    },
  });
});

after(async () => {
  await edge?.close();
  await functions?.close();
});

/// A request of the client at this address, as Cloudflare hands it to the Worker.
function from(address, target, body, headers = {}) {
  const json = body && { "content-type": "application/json" };
  return edge.send(target, {
    method: body ? "POST" : "GET",
    headers: { "cf-connecting-ip": address, ...json, ...headers },
    body: body && JSON.stringify(body),
  });
}

const login = (address, email, password, headers) =>
  from(address, "/v1/auth/login", { email, password, token_delivery: "body" }, headers);

async function addressInTheTrail(session) {
  const trail = await from(HERS, "/v1/audit", undefined, { authorization: `Bearer ${session.json.access_token}` });
  assert.equal(trail.status, 200, trail.text);
  return trail.json.items.find((event) => event.type === "login_succeeded").ip;
}

test("a sign-in through the edge is recorded with the client's own address", async () => {
  const body = { email: ASHA, password: PASSWORD, name: "Asha" };
  assert.equal((await from(HERS, "/v1/auth/register", body)).status, 201);
  // What a client says of itself goes no further than the Worker.
  const lies = { "x-client-address": "6.6.6.6", "x-forwarded-for": "6.6.6.6", forwarded: "for=6.6.6.6" };
  const session = await login(HERS, ASHA, PASSWORD, lies);
  assert.equal(session.status, 200, session.text);
  assert.equal(await addressInTheTrail(session), HERS);
  const six = await login("2001:db8::7", ASHA, PASSWORD);
  assert.equal(await addressInTheTrail(six), "2001:db8::7");
});

test("a hundred wrong guesses from one address leave another untouched", async () => {
  // More than a hundred only where a quarter of an hour ends in between.
  let guesses = 0;
  const guess = () => login(THEIRS, `p${guesses}@example.com`, "not this one, surely");
  while ((await guess()).status === 401) guesses += 1;
  assert.ok(guesses >= 100 && guesses < 200, `${guesses}`);
  const over = await login(THEIRS, ASHA, PASSWORD);
  assert.deepEqual([over.status, over.json.code], [429, "too_many_attempts"]);
  const hers = await login(HERS, ASHA, PASSWORD);
  assert.equal(hers.status, 200, hers.text);
  // At the office whose limit somebody used up, the device she signed in with before is let in.
  const known = { email: ASHA, password: PASSWORD, token_delivery: "body", device_token: hers.json.device_token };
  assert.equal((await from(THEIRS, "/v1/auth/login", known)).status, 200);
});

test("the functions refuse what did not come through the edge", async () => {
  const direct = async (headers = {}, target = "/v1/auth/login") => {
    const response = await fetch(functions.url + target, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify({ email: ASHA, password: PASSWORD }),
    });
    return [response.status, (await response.json()).code];
  };
  const now = Math.floor(Date.now() / 1000);
  const root = functions.secrets.EDGE_PROOF_KEY;
  const key = serviceKey("identity", "1", root);
  const headers = { "x-client-address": HERS, "x-request-id": "r-1" };
  const request = { method: "POST", url: "/v1/auth/login", headers };
  const proven = (service, time, key) => ({ ...headers, "x-edge-proof": proof(request, service, time, { key }) });
  assert.equal((await direct(proven("identity", now, key)))[0], 200);
  for (const [bad, why] of [
    [{}, "none"],
    [headers, "an address alone"],
    [{ ...proven("identity", now, key), "x-client-address": "6.6.6.6" }, "another address"],
    [proven("identity", now - 60, key), "stale"],
    [proven("portfolio", now, key), "for another service"],
    [proven("identity", now, serviceKey("portfolio", "1", root)), "made by another service"],
    [proven("identity", now, serviceKey("identity", "2", root)), "under a key that nobody was given"],
    [proven("identity", now, `1:${root}`), "under the root key itself"],
    [proven("identity", now, serviceKey("identity", "1", "A".repeat(43))), "under another root key"],
  ]) {
    assert.deepEqual(await direct(bad), [403, "edge_required"], why);
  }
  assert.deepEqual(await direct(proven("identity", now, key), "/v1/auth/password/forgot"), [403, "edge_required"]);
  assert.equal((await fetch(`${functions.url}/v1/auth/.well-known/jwks.json`)).status, 200);
  assert.equal((await fetch(`${functions.url}/healthz`)).status, 200);
});

test("the edge gets keys and revocations from functions that let nobody else in", async () => {
  const session = await login(HERS, ASHA, PASSWORD);
  const through = await Edge.start({
    variables: {
      EDGE_PROOF_KEY: functions.secrets.EDGE_PROOF_KEY,
      SERVICE_TOKEN: JSON.parse(functions.secrets.SERVICE_TOKENS).edge[0],
      IDENTITY_URL: functions.url,
    },
  });
  try {
    const bearer = { headers: { authorization: `Bearer ${session.json.access_token}` } };
    assert.equal((await through.send("/v1/strategy", bearer)).status, 200, "a critical route");
  } finally {
    await through.close();
  }
});

/// The code of an authenticator app (RFC 6238) in so many steps of half a minute.
function code(secret, steps = 0) {
  const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  const bits = [...secret].map((letter) => letters.indexOf(letter).toString(2).padStart(5, "0")).join("");
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + steps));
  const mac = createHmac("sha1", key).update(counter).digest();
  const number = mac.readUInt32BE(mac.at(-1) & 15) & 0x7fffffff;
  return String(number % 1_000_000).padStart(6, "0");
}

/// Somebody with an app and a trading account, and the approval of an order with it.
async function approver(url, email) {
  let token;
  const call = async (target, body, status = 200) => {
    const authorization = token ? { authorization: `Bearer ${token}` } : {};
    const headers = { "content-type": "application/json", ...authorization };
    const response = await fetch(url + target, { method: "POST", headers, body: JSON.stringify(body) });
    const answer = await response.json();
    assert.equal(response.status, status, `${target}: ${JSON.stringify(answer)}`);
    return answer;
  };
  await call("/v1/auth/register", { email, password: PASSWORD, name: "Asha" }, 201);
  token = (await call("/v1/auth/login", { email, password: PASSWORD, token_delivery: "body" })).access_token;
  const kite = { broker: "kite", user_id_broker: "AB1234", api_key: "k", api_secret: "s" };
  const { account_id } = await call("/v1/trading-accounts", kite, 201);
  const secret = new URL((await call("/v1/mfa/totp/setup")).otpauth_uri).searchParams.get("secret");
  await call("/v1/mfa/totp/enable", { code: code(secret, -1) });
  const order = {
    type: "order", account_id, exchange: "NSE", symbol: "INFY", side: "buy", quantity: "10", order_type: "limit", price: "1500.50",
  }; // prettier-ignore
  const asked = await call("/v1/approvals", { authorization_details: [order] }, 201);
  await call(`/v1/approvals/${asked.approval_id}/decide`, { decision: "approve", code: code(secret) });
  return { token, order, asked };
}

test("an order that a role wants approved goes through with what its owner approved, once", async () => {
  const policy = JSON.parse(fs.readFileSync(path.join(ROOT, "edge/verifier/src/default_policy.json"), "utf8"));
  policy.user.services.push("trading");
  policy.user.requires = { approval: [{ service: "trading", notional_above: "15000" }] };
  const ROLE_DEFINITIONS = JSON.stringify(policy);
  const ours = await deployment({ ROLE_DEFINITIONS, ARGON2_MEMORY_KIB: "64" });
  const { EDGE_PROOF_KEY, SERVICE_TOKENS } = ours.secrets;
  const SERVICE_TOKEN = JSON.parse(SERVICE_TOKENS).edge[0];
  const front = await Edge.start({ variables: { EDGE_PROOF_KEY, SERVICE_TOKEN, IDENTITY_URL: ours.url, ROLE_DEFINITIONS } });
  try {
    const { token, order, asked } = await approver(ours.url, ASHA);
    const bela = await approver(ours.url, "bela@example.com");
    const place = async (changes, approval) => {
      const body = JSON.stringify({ authorization_details: [{ ...order, ...changes }] });
      const headers = { "content-type": "application/json", ...(approval && { "x-approval-id": approval }) };
      const answer = await front.as(token, "/v1/trading/orders", { method: "POST", headers, body });
      return [answer.status, answer.json.code ?? answer.json.headers["x-approval-order-tag"]];
    };
    assert.deepEqual(await place({ quantity: "1" }), [200, undefined], "a small one");
    assert.deepEqual(await place({}), [403, "approval_required"]);
    assert.deepEqual(await place({ quantity: "11" }, asked.approval_id), [409, "details_mismatch"]);
    assert.deepEqual(await place({ iceberg: "1" }, asked.approval_id), [422, "validation_failed"]);
    assert.deepEqual(await place(bela.order, bela.asked.approval_id), [404, "not_found"]);
    assert.deepEqual(await place({}, asked.approval_id), [200, asked.order_tag]);
    assert.deepEqual(await place({}, asked.approval_id), [409, "already_redeemed"]);
  } finally {
    await front.close();
    await ours.close();
  }
});
