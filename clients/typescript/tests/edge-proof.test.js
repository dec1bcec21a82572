// The edge's proof of origin in a service of Node: whose requests are believed, and how often.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import fs from "node:fs";
import { createServer } from "node:http";
import path from "node:path";
import { test } from "node:test";
import { EdgeProof, EdgeProofError, SeenHere } from "../dist/behind-edge/index.js";

const FILE = process.env.PROOF_VECTORS ?? path.join(import.meta.dirname, "../../../edge/proof-vectors.json");
const VECTORS = JSON.parse(fs.readFileSync(FILE, "utf8"));
const NOW = 1_760_000_000;
const TARGET = "/v1/portfolio?page=2";
const KEY = "1:BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc";
const OTHER = "2:CAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg";
const ASHA = { "x-user-id": "usr_1", "x-user-roles": "user", "x-auth-method": "jwt", "x-request-id": "r-1" };
const SIGNED = ["user-id", "user-email", "user-roles", "user-scopes", "session-id", "auth-method", "request-id", "client-address"];
const at = (seconds) => () => seconds * 1000;

/** The proof by its description, written a second time to check the first. */
function proven(headers, { key = KEY, time = NOW, nonce = "i-1", service = "portfolio", method = "GET", url = TARGET } = {}) {
  const [id, bytes] = key.split(":");
  const lines = ["portcullis-edge-v2", id, time, nonce, service, method, url];
  const text = [...lines, ...SIGNED.map((name) => headers[`x-${name}`] ?? "")].join("\n");
  const mac = createHmac("sha256", Buffer.from(bytes, "base64url")).update(text).digest("hex");
  return requestOf({ ...headers, "x-edge-proof": `v2;k=${id};t=${time};n=${nonce};${mac}` }, method, url);
}

function requestOf(headers, method = "GET", url = TARGET) {
  return { method, url, rawHeaders: Object.entries(headers).flat() };
}

const edgeOf = (keys = KEY, options = {}) => new EdgeProof(keys, "portfolio", { now: at(NOW), ...options });

async function refused(promise, status, pattern = /./) {
  await assert.rejects(promise, (error) => {
    assert.ok(error instanceof EdgeProofError, error);
    assert.equal(error.status, status, error.message);
    assert.match(error.message, pattern);
    return true;
  });
}

test("the vectors that the edge makes are judged as they say", async () => {
  assert.ok(VECTORS.proofs.length > 20);
  for (const { name, keys, service, method, target, now, headers, valid, caller } of VECTORS.proofs) {
    const edge = new EdgeProof(keys, service, { now: at(now) });
    const fetched = new Request(`https://portfolio.example${target}`, { method, headers });
    for (const request of [requestOf(headers, method, target), fetched]) {
      if (!valid) await refused(edge.verify(request), 403);
      else if (caller === null) await refused(edge.verify(request), 401);
      else assert.deepEqual(written(await edge.verify(request)), caller, name);
    }
  }
});

function written({ userId, email, roles, method, sessionId, scopes, requestId, clientAddress, approvalId, approvalOrderTag }) {
  const or = (value) => value ?? null;
  return {
    user_id: userId, email: or(email), roles, method, session_id: or(sessionId), scopes: or(scopes),
    request_id: or(requestId), client_address: or(clientAddress),
    approval_id: or(approvalId), approval_order_tag: or(approvalOrderTag),
  };
}

test("every identity header is signed, and one that came twice is not believed", async () => {
  const good = proven(ASHA);
  const proof = good.rawHeaders.at(-1);
  assert.equal((await edgeOf().verify(good)).userId, "usr_1");
  for (const name of SIGNED.map((one) => `x-${one}`)) {
    await refused(edgeOf().verify(requestOf({ ...ASHA, [name]: "admin", "x-edge-proof": proof })), 403, /did not come/);
    const twice = [...good.rawHeaders, name.toUpperCase(), "admin", name, "admin"];
    await refused(edgeOf().verify({ ...good, rawHeaders: twice }), 403, /twice/);
  }
  await refused(edgeOf().verify({ ...good, rawHeaders: [...good.rawHeaders, "X-Edge-Proof", proof] }), 403, /twice/);
});

test("a proof has one spelling", async () => {
  const good = proven(ASHA);
  const proof = good.rawHeaders.at(-1);
  const others = ["", "v2", proof.toUpperCase(), proof.replace("v2", "v1"), proof.replace("t=1", "t=01"), `${proof}0`, ` ${proof}`,
    proof.slice(0, -1), `${proof}\n`, proof.replace("n=i-1", "n="), proof.replace("k=1;", ""), proof.replace(/t=\d+/, "t=")];
  for (const other of others) {
    await refused(edgeOf().verify({ ...good, rawHeaders: [...good.rawHeaders.slice(0, -1), other] }), 403);
  }
  await refused(edgeOf().verify(proven({ ...ASHA, "x-user-id": "usr_1\nadmin" })), 403);
});

test("it lives half a minute", async () => {
  for (const [now, isGood] of [[NOW - 31, false], [NOW - 30, true], [NOW + 30, true], [NOW + 31, false]]) {
    const verified = edgeOf(KEY, { now: at(now) }).verify(proven(ASHA));
    if (isGood) await verified;
    else await refused(verified, 403);
  }
});

test("one key takes the place of another: both, and then the new one alone", async () => {
  const [old, young] = [() => proven(ASHA), () => proven(ASHA, { key: OTHER })];
  for (const both of [`${KEY},${OTHER}`, [KEY, OTHER], ` ${KEY}, ${OTHER} `]) {
    await edgeOf(both).verify(old());
    await edgeOf(both).verify(young());
  }
  await refused(edgeOf(OTHER).verify(old()), 403);
  await refused(edgeOf(KEY).verify(young()), 403);
  // Two keys of one id, while the edge's root key is replaced.
  const replaced = edgeOf([KEY, OTHER.replace("2:", "1:")]);
  await replaced.verify(old());
  await replaced.verify(proven(ASHA, { key: OTHER.replace("2:", "1:") }));
});

test("what is no key of a service is refused at the start, and not quoted", () => {
  const root = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
  for (const keys of ["", [], "1:", root, `1:${root}A`, "1:c2hvcnQ", `1 :${root}`, `A:${root}`, `${KEY},`]) {
    assert.throws(() => new EdgeProof(keys, "portfolio"), (error) => error instanceof TypeError && !error.message.includes(root));
  }
});

test("a replay is refused where it is asked for, and taken where not", async () => {
  const asked = edgeOf(KEY, { seen: new SeenHere() });
  await asked.verify(proven(ASHA));
  await refused(asked.verify(proven(ASHA)), 403, /before/);
  assert.equal((await asked.verify(proven(ASHA, { nonce: "i-2" }))).userId, "usr_1", "an equal request of the same second");
  const lenient = edgeOf();
  await lenient.verify(proven(ASHA));
  await lenient.verify(proven(ASHA));
});

test("a proof is remembered for as long as any clock takes it", async () => {
  let passed = 0;
  const seen = new SeenHere(10, () => passed);
  const edge = edgeOf(KEY, { seen, now: () => (NOW + passed) * 1000 });
  const early = () => proven(ASHA, { time: NOW + 30 });
  await edge.verify(early());
  for (passed of [15, 30, 60]) await refused(edge.verify(early()), 403, /before/);
  passed = 70;
  await edge.verify(proven(ASHA, { time: NOW + 70, nonce: "i-2" }));
  assert.equal(seen.size, 1, "what ended is forgotten");
});

test("what is not signed takes up no room", async () => {
  const seen = new SeenHere(1);
  const edge = edgeOf(KEY, { seen });
  for (let number = 0; number < 10; number += 1) await refused(edge.verify(proven(ASHA, { key: `1:${OTHER.slice(2)}`, nonce: `i-${number}` })), 403);
  assert.equal(seen.size, 0);
});

test("a full memory forgets nothing early, at a million proofs", () => {
  const million = 1_000_000;
  let passed = 0;
  const seen = new SeenHere(million, () => passed);
  const proof = (number) => number.toString(16).padStart(32, "0") + "0".repeat(32);
  const before = process.memoryUsage().rss;
  for (let number = 0; number < million; number += 1) {
    if (number % 20_000 === 0) passed += 1;
    assert.ok(seen.isFirst(proof(number), 61));
  }
  console.log(`a million proofs: ${Math.round((process.memoryUsage().rss - before) / million)} bytes each, garbage included`);
  assert.throws(() => seen.isFirst(proof(million), 61), { name: "EdgeProofError", status: 503 });
  for (const number of [0, 1, million / 2, million - 1]) assert.equal(seen.isFirst(proof(number), 61), false);
  passed = 70;
  assert.ok(seen.isFirst(proof(million), 61), "the oldest have ended");
  assert.equal(seen.isFirst(proof(million - 1), 61), false);
  assert.ok(seen.size < million);
});

test("a store of several processes decides, and one that fails refuses", async () => {
  const asked = [];
  const store = { isFirst: async (proof, seconds) => (asked.push([proof, seconds]), asked.length === 1) };
  const processes = [edgeOf(KEY, { seen: store }), edgeOf(KEY, { seen: store })];
  await processes[0].verify(proven(ASHA));
  await refused(processes[1].verify(proven(ASHA)), 403, /before/);
  assert.match(asked[0][0], /^[0-9a-f]{64}$/);
  assert.deepEqual(asked[0], asked[1]);
  assert.equal(asked[0][1], 61);
  const down = { isFirst: () => Promise.reject(new Error("refused")) };
  await refused(edgeOf(KEY, { seen: down }).verify(proven(ASHA)), 503);
});

test("a server of Node and a framework that shortens the URL", async () => {
  const edge = new EdgeProof(KEY, "portfolio", { seen: new SeenHere() });
  const server = createServer(async (request, response) => {
    try {
      const { userId } = await edge.verify(request);
      response.end(userId);
    } catch (error) {
      response.writeHead(error.status, error.headers).end(JSON.stringify(error.problem));
    }
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const url = "/v1/portfolio/a%20b?q=%2F&r=1,2";
  const { rawHeaders } = proven(ASHA, { url, time: Math.floor(Date.now() / 1000) });
  const headers = Object.fromEntries(Array.from({ length: rawHeaders.length / 2 }, (_, i) => rawHeaders.slice(2 * i, 2 * i + 2)));
  const send = () => fetch(`http://127.0.0.1:${server.address().port}${url}`, { headers });
  const [first, again] = [await send(), await send()];
  server.close();
  assert.deepEqual([first.status, await first.text()], [200, "usr_1"]);
  assert.equal(again.status, 403);
  assert.equal(again.headers.get("content-type"), "application/problem+json");
  assert.equal((await again.json()).code, "edge_required");
  assert.equal((await edgeOf().verify({ ...proven(ASHA), url: "/?page=2", originalUrl: TARGET })).userId, "usr_1");
});
