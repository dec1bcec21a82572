// The identity service slow, wrong or gone; keys that change; floods; and revocation.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { Cache } from "./cache.js";
import { Edge } from "./edge.js";
import { apiKey, newKey } from "./identity.js";
import { id } from "./revocations.js";

const running = [];
async function start(options) {
  const edge = await Edge.start(options);
  running.push(edge);
  return edge;
}
after(() => Promise.all(running.map((edge) => edge.close())));

const quiet = { REVOCATION_POLL: "0" };
const forgedKid = () => randomBytes(32).toString("base64url");

test("a hundred first requests cost one fetch of the keys", async () => {
  const edge = await start({ variables: quiet });
  const tokens = await Promise.all(Array.from({ length: 100 }, () => edge.identity.token()));
  const answers = await Promise.all(tokens.map((token) => edge.as(token, "/v1/portfolio")));
  assert.ok(answers.every(({ status }) => status === 200));
  assert.equal(edge.identity.counts.jwks, 1);
});

test("with the issuer down from the start nobody is called a forger", async () => {
  const edge = await start({ variables: quiet });
  const token = await edge.identity.token();
  for (const fault of [500, "garbage", "large", { keys: [] }, "hang"]) {
    edge.identity.faults.jwks = fault;
    const began = Date.now();
    const answer = await edge.as(token, "/v1/portfolio");
    assert.deepEqual([answer.status, answer.json?.code], [503, "unavailable"], String(fault));
    assert.ok(Date.now() - began < 5000);
  }
  const others = await edge.send("/v1/auth/login", { method: "POST" });
  assert.equal(others.status, 200, "public routes do not need keys");
  edge.identity.faults.jwks = undefined;
  await pause(2100);
  assert.equal((await edge.as(token, "/v1/portfolio")).status, 200, "and it recovers by itself");
});

test("a key set with a private key or two keys of one name is not taken", async () => {
  const edge = await start({ variables: quiet });
  const [{ jwk }] = edge.identity.keys;
  for (const keys of [[{ ...jwk, d: "AQAB" }], [jwk, jwk]]) {
    edge.identity.faults.jwks = { keys };
    assert.equal((await edge.as({}, "/v1/portfolio")).status, 503);
    await pause(2100);
  }
});

test("shipped keys serve while the issuer is down, and not while it has others", async () => {
  const edge = await start({ variables: quiet, bundle: true });
  const token = await edge.identity.token();
  edge.identity.faults.jwks = "hang";
  const began = Date.now();
  assert.equal((await edge.as(token, "/v1/portfolio")).status, 200);
  assert.ok(Date.now() - began < 3000, "it is asked once");
  const again = Date.now();
  assert.equal((await edge.as({}, "/v1/portfolio")).status, 200);
  assert.ok(Date.now() - again < 1000, "without waiting");
  edge.identity.faults.jwks = undefined;
  edge.identity.keys = [await newKey()];
  await edge.again();
  assert.equal((await edge.as(token, "/v1/portfolio")).status, 401);
});

/// An edge whose isolate has left the keys in the cache, and a token it let through.
async function startWithKeysLeft() {
  const cache = await Cache.start();
  after(() => cache.close());
  const edge = await start({ variables: quiet, cache });
  const token = await edge.identity.token();
  assert.equal((await edge.as(token, "/v1/portfolio")).status, 200);
  while (cache.entries.size === 0) await pause(10);
  return { cache, edge, token };
}

test("an isolate that starts while the issuer is down takes the keys another one left", async () => {
  const { cache, edge, token } = await startWithKeysLeft();
  edge.identity.faults.jwks = 500;
  await edge.again();
  assert.equal((await edge.as(token, "/v1/portfolio")).status, 200);
  const forged = await edge.identity.token({}, { key: { ...(await newKey()), kid: edge.identity.keys[0].kid } });
  assert.equal((await edge.as(forged, "/v1/portfolio")).status, 401);
  assert.deepEqual([edge.identity.counts.jwks, cache.looks], [2, [true]], "the issuer was asked first");
});

test("a withdrawn key that another isolate left is not believed while the issuer answers", async () => {
  const { edge, token } = await startWithKeysLeft();
  edge.identity.keys = [await newKey()];
  await edge.again();
  const refused = await edge.as(token, "/v1/portfolio");
  assert.deepEqual([refused.status, refused.json?.code], [401, "invalid_token"]);
  assert.equal((await edge.as({}, "/v1/portfolio")).status, 200);
});

test("a withdrawn key dies at the edge within 6 s, whatever copy of it there is", async () => {
  const cache = await Cache.start();
  after(() => cache.close());
  const edge = await start({ cache });
  const { identity } = edge;
  const [leaked] = identity.keys;
  identity.keys.push(await newKey());
  const [token, good] = [await identity.token({}, { key: leaked }), await identity.token()];
  for (const one of [token, good]) assert.equal((await edge.as(one, "/v1/portfolio")).status, 200);
  while (cache.entries.size < 2) await pause(10);
  // It is published still: of the cache in front of the issuer, or by a function that has not heard of it.
  identity.withdrawn.push(leaked.kid);
  const began = Date.now();
  let answer;
  do {
    await pause(100);
    answer = await edge.as(token, "/v1/portfolio");
  } while (answer.status === 200 && Date.now() - began < 10_000);
  const seconds = (Date.now() - began) / 1000;
  console.log(`refused ${seconds.toFixed(1)} s after the withdrawal`);
  assert.deepEqual([answer.status, answer.json.code], [401, "invalid_token"], "a fresh token is needed, no sign-in");
  assert.ok(seconds <= 6);
  const another = await identity.token({}, { key: leaked });
  assert.equal((await edge.as(another, "/v1/portfolio")).status, 401, "what was never seen, too");
  assert.equal((await edge.as(good, "/v1/portfolio")).status, 200);

  // An isolate that starts without the issuer has the key from the cache, and is told all the same.
  identity.faults.jwks = 500;
  await edge.again();
  assert.equal((await edge.as(token, "/v1/portfolio")).status, 401);
  assert.equal((await edge.as(good, "/v1/portfolio")).status, 200);
});

test("what was left too long ago, or is no key set, or never comes, counts for nothing", async () => {
  const { cache, edge, token } = await startWithKeysLeft();
  const [[name, message]] = cache.entries;
  const changed = {
    old: message.replace(/x-obtained-at: \d+/i, `x-obtained-at: ${Date.now() - 24 * 3600_000 - 1000}`),
    undated: message.replace(/x-obtained-at: \d+\r\n/i, ""),
    garbage: message.replace(/"kty"/g, '"k"'),
  };
  for (const [what, text] of Object.entries(changed)) {
    assert.notEqual(text, message, what);
    cache.entries.set(name, text);
    edge.identity.faults.jwks = 500;
    await edge.again();
    assert.equal((await edge.as(token, "/v1/portfolio")).status, 503, what);
    edge.identity.faults.jwks = undefined;
    await edge.again();
    assert.equal((await edge.as(token, "/v1/portfolio")).status, 200, what);
    // What it learnt it leaves there after the response, and must not take the place of the next text.
    while (cache.entries.get(name) === text) await pause(10);
  }
  cache.hangs = true;
  await edge.again();
  const began = Date.now();
  assert.equal((await edge.as(token, "/v1/portfolio")).status, 200);
  assert.ok(Date.now() - began < 2000, "it is not waited for");
});

test("keys that are known go on serving while the issuer is down", async () => {
  const edge = await start({ variables: quiet });
  assert.equal((await edge.as({}, "/v1/portfolio")).status, 200);
  for (const fault of [500, "garbage", "hang"]) {
    edge.identity.faults.jwks = fault;
    const forged = await edge.identity.token({}, { header: { kid: forgedKid() } });
    const [good, bad] = await Promise.all([edge.as({}, "/v1/portfolio"), edge.as(forged, "/v1/portfolio")]);
    assert.equal(good.status, 200);
    assert.ok([401, 503].includes(bad.status));
  }
});

test("the keys change under load and no good token is refused", async () => {
  const edge = await start({ variables: quiet });
  let stop = false;
  let [accepted, kids] = [0, new Set()];
  const caller = async () => {
    while (!stop) {
      const key = edge.identity.keys.at(-1);
      const answer = await edge.as(await edge.identity.token({}, { key }), "/v1/portfolio");
      assert.equal(answer.status, 200, answer.text);
      accepted += 1;
      kids.add(key.kid);
    }
  };
  const callers = Array.from({ length: 8 }, caller);
  for (let round = 0; round < 3; round += 1) {
    await pause(1200);
    // Published and used in the same moment: the worst an issuer can do.
    edge.identity.keys.push(await newKey());
  }
  await pause(3000);
  stop = true;
  await Promise.all(callers);
  assert.equal(kids.size, 4);
  console.log(`${accepted} tokens of ${kids.size} keys, none refused; ${edge.identity.counts.jwks} fetches`);
});

test("a withdrawn key takes its remembered tokens with it", async () => {
  const edge = await start({ variables: quiet });
  const token = await edge.identity.token();
  assert.equal((await edge.as(token, "/v1/portfolio")).status, 200);
  edge.identity.keys = [await newKey()];
  await pause(2100);
  assert.equal((await edge.as({}, "/v1/portfolio")).status, 200, "a token of the new key brings the new set");
  assert.equal((await edge.as(token, "/v1/portfolio")).status, 401);
});

test("a flood of forged key ids neither reaches the issuer nor stops good tokens", async () => {
  const edge = await start({ variables: quiet });
  assert.equal((await edge.as({}, "/v1/portfolio")).status, 200);
  const before = edge.identity.counts.jwks;
  const end = Date.now() + 10_000;
  const [forgedSeen, goodSeen] = [new Map(), new Map()];
  const count = (map, key) => map.set(key, (map.get(key) ?? 0) + 1);
  const [, payload, signature] = (await edge.identity.token()).split(".");
  const flood = async () => {
    while (Date.now() < end) {
      const header = Buffer.from(JSON.stringify({ alg: "RS256", typ: "at+jwt", kid: forgedKid() })).toString("base64url");
      const answers = await Promise.all(
        Array.from({ length: 40 }, () => edge.as(`${header}.${payload}.${signature}`, "/v1/portfolio")),
      );
      for (const { status } of answers) count(forgedSeen, status);
    }
  };
  const honest = async () => {
    while (Date.now() < end) {
      const token = await edge.identity.token({}, { key: edge.identity.keys[0] });
      count(goodSeen, (await edge.as(token, "/v1/portfolio")).status);
      await pause(20);
    }
  };
  const rotated = (async () => {
    await pause(5000);
    edge.identity.keys.push(await newKey());
    return edge.as({}, "/v1/portfolio");
  })();
  await Promise.all([...Array.from({ length: 8 }, flood), honest()]);
  const fetches = edge.identity.counts.jwks - before;
  console.log("forged:", forgedSeen, "good:", goodSeen, `fetches in 10 s: ${fetches}`);
  assert.ok(fetches <= 10, `${fetches} fetches`);
  assert.deepEqual([...goodSeen.keys()], [200]);
  assert.ok([...forgedSeen.keys()].every((status) => status === 401 || status === 503));
  assert.notEqual((await rotated).status, 401, "a token of a brand-new key is never called forged");
});

test("logout is known at the edge within 6 s, for remembered tokens and open ones", async () => {
  const edge = await start();
  const { identity } = edge;
  const [ALICE, BOB, HERE] = [id("ses", "alice"), id("usr", "bob"), id("ses", "here")];
  const [alice, other, bob] = [
    await identity.token({ session_id: ALICE }),
    await identity.token({ session_id: id("ses", "other") }),
    await identity.token({ sub: BOB, session_id: id("ses", "bob") }),
  ];
  const here = await identity.token({ sub: BOB, session_id: HERE });
  for (const token of [alice, other, bob, here]) assert.equal((await edge.as(token, "/v1/portfolio")).status, 200);
  const began = Date.now();
  identity.revoke({ session: ALICE });
  identity.revoke({ user: BOB, epoch: 1, except: HERE });
  let answer;
  do {
    await pause(100);
    answer = await edge.as(alice, "/v1/portfolio");
  } while (answer.status === 200 && Date.now() - began < 10_000);
  const seconds = (Date.now() - began) / 1000;
  console.log(`refused ${seconds.toFixed(1)} s after the logout`);
  assert.deepEqual([answer.status, answer.json.code], [401, "session_revoked"]);
  assert.ok(seconds <= 6);
  assert.equal((await edge.as(bob, "/v1/portfolio")).json.code, "session_revoked");
  assert.equal((await edge.as(other, "/v1/portfolio")).status, 200, "her other session goes on");
  assert.equal((await edge.as(here, "/v1/portfolio")).status, 200, "the session he ended the others from goes on");
  const fresh = await identity.token({ sub: BOB, session_id: id("ses", "bob2"), epoch: 1 });
  assert.equal((await edge.as(fresh, "/v1/portfolio")).status, 200, "he may sign in again, within the same second too");
  assert.equal(identity.counts.refused, 0);
});

test("the first request after a quiet while sees a revocation too", async () => {
  const edge = await start({ variables: { REVOCATION_POLL: "1" } });
  const token = await edge.identity.token({ session_id: id("ses", "alice") });
  assert.equal((await edge.as(token, "/v1/portfolio")).status, 200);
  edge.identity.revoke({ session: id("ses", "alice") });
  await pause(2500);
  assert.equal((await edge.as(token, "/v1/portfolio")).status, 401);
  assert.ok(edge.identity.counts.revocations >= 2);
});

test("isolates of a data centre share the pages", async () => {
  const cache = await Cache.start();
  const edge = await start({ cache });
  const token = await edge.identity.token({ iat: edge.identity.now() - 600 });
  assert.equal((await edge.as(token, "/v1/strategy")).status, 200, "a critical route for an older token");
  const asked = edge.identity.counts.revocations;
  assert.ok(asked >= 8, `${asked} pages`);
  // What waits for the cache has been left there.
  for (let tries = 0; tries < 50 && cache.entries.size < asked - 1; tries += 1) await pause(50);
  await edge.again();
  assert.equal((await edge.as(token, "/v1/strategy")).status, 200);
  const again = edge.identity.counts.revocations - asked;
  assert.ok(again <= 3, `a fresh isolate asks for what is not settled alone, not for ${again} pages`);
  await cache.close();
});

test("while revocations are unknown critical routes close and others stay open", async () => {
  const edge = await start({ variables: { REVOCATION_POLL: "1", REVOCATION_MAX_STALENESS: "2" } });
  const token = await edge.identity.token();
  assert.equal((await edge.as(token, "/v1/strategy")).status, 200);
  for (const fault of [500, "garbage", "large", "hang"]) {
    edge.identity.faults.revocations = fault;
    await pause(fault === 500 ? 3500 : 1200);
    await edge.as(token, "/v1/portfolio");
    const closed = await edge.as(token, "/v1/strategy");
    assert.deepEqual([closed.status, closed.json?.code], [503, "unavailable"], String(fault));
    assert.equal((await edge.as(token, "/v1/portfolio")).status, 200);
  }
  edge.identity.faults.revocations = undefined;
  await pause(4500);
  await edge.as(token, "/v1/portfolio");
  await pause(500);
  assert.equal((await edge.as(token, "/v1/strategy")).status, 200, "and they open again by themselves");
});

test("a revoked user's API key is asked about again", async () => {
  const edge = await start({ variables: { REVOCATION_POLL: "1" } });
  const headers = { "x-api-key": apiKey(5) };
  edge.identity.apiKeys.set(apiKey(5), { active: true, user_id: id("usr", "bot"), roles: ["trader"], scopes: ["trading:*"] });
  assert.equal((await edge.send("/v1/trading", { headers })).status, 200);
  await pause(1100);
  edge.identity.apiKeys.set(apiKey(5), { active: false });
  edge.identity.revoke({ user: id("usr", "bot"), epoch: 1 });
  await pause(1100);
  assert.equal((await edge.send("/v1/trading", { headers })).status, 401);
});

test("an isolate tells what went wrong at it beside its next request for revocations", async () => {
  const cache = await Cache.start();
  after(() => cache.close());
  const gone = [{ prefix: "/gone", service: "portfolio", upstreams: ["http://127.0.0.1:1"] }];
  const edge = await start({ variables: { REVOCATION_POLL: "1" }, routes: gone, cache });
  const { identity } = edge;
  const polled = async () => {
    await pause(1100);
    await edge.as({}, "/v1/portfolio");
    await pause(500);
  };
  await polled();
  assert.deepEqual(identity.reports, [], "nothing to tell");
  // Nobody takes a report at first.
  identity.faults.revocations = 500;
  for (let round = 0; round < 2; round += 1) assert.equal((await edge.as({}, "/gone")).status, 502);
  identity.faults.apiKeys = 500;
  assert.equal((await edge.send("/v1/trading", { headers: { "x-api-key": apiKey(77) } })).status, 503);
  await polled();
  const untaken = identity.reports.length;
  assert.ok(untaken >= 1);
  identity.faults.revocations = undefined;
  await polled();
  assert.match(identity.reports.at(-1), /^feed=\d+,lookups=1,upstreams=2,undecided=1$/, "with what failed since");
  const taken = identity.reports.length;
  assert.ok(taken > untaken);
  assert.equal((await edge.as({}, "/gone")).status, 502);
  await polled();
  assert.equal(identity.reports.length, taken, "once a minute");
});

test("each caller has a limit of its own", async () => {
  const edge = await start({ variables: quiet, limiter: `${import.meta.dirname}/limiter.js` });
  const answers = [];
  for (let round = 0; round < 15; round += 1) answers.push(await edge.as({}, "/v1/portfolio"));
  assert.deepEqual(answers.map(({ status }) => status), [...Array(10).fill(200), ...Array(5).fill(429)]);
  assert.equal(answers.at(-1).json.code, "too_many_attempts");
  assert.ok(answers.at(-1).headers["retry-after"]);
  assert.equal((await edge.as({ sub: "usr_bob" }, "/v1/portfolio")).status, 200);
});

test("a configuration that cannot be used admits nobody and is named in the log", async () => {
  const edge = await start({ variables: { ROUTES: '[{"prefix": "/Admin", "service": "x", "upstreams": ["https://x.example"]}]' } });
  const answer = await edge.as({}, "/v1/portfolio");
  assert.equal(answer.status, 503);
  assert.equal(answer.json.code, "unavailable");
  // The log takes its own way out of the process.
  for (let tries = 0; tries < 100 && !edge.process.log().includes("ROUTES"); tries += 1) await pause(50);
  assert.match(edge.process.log(), /ROUTES: route `\/Admin`/);
  assert.ok(!answer.text.includes("Admin"));
});
