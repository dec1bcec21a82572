// Routes of trading close within 6 s to whoever is frozen, and open as soon again; nobody else notices.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { Edge } from "./edge.js";
import { apiKey } from "./identity.js";
import { id } from "./revocations.js";

const MOST = 6000;
const ASHA = id("usr", "asha");
const BELA = id("usr", "bela");
const ORDERS = [{ prefix: "/v1/orders", service: "trading", trading: true }];

const edges = [];
after(() => Promise.all(edges.map((edge) => edge.close())));

async function start(options = {}) {
  const edge = await Edge.start({ routes: ORDERS, ...options });
  edges.push(edge);
  return edge;
}

/// How long it takes until the answers are these; the service asks every half a second, as somebody who trades does.
async function until(ask, expected, began = Date.now()) {
  for (;;) {
    const answers = await ask();
    const took = Date.now() - began;
    if (JSON.stringify(answers) === JSON.stringify(expected)) return took;
    assert.ok(took <= MOST, `${answers} after ${took} ms`);
    await pause(500);
  }
}

test("a route of trading closes within 6 s to who is frozen, and opens again", async () => {
  const edge = await start();
  const { identity } = edge;
  const scopes = ["trading:*"];
  identity.apiKeys.set(apiKey(7), { active: true, user_id: ASHA, roles: ["trader"], scopes });
  const [asha, bela] = await Promise.all([ASHA, BELA].map((sub) => identity.token({ sub, roles: ["trader"] })));
  const ask = async () => {
    const byKey = edge.send("/v1/orders", { headers: { "x-api-key": apiKey(7) } });
    const asked = [edge.as(asha, "/v1/orders"), byKey, edge.as(bela, "/v1/orders"), edge.as(asha, "/v1/trading")];
    return (await Promise.all(asked)).map(({ status }) => status);
  };
  assert.deepEqual(await ask(), [200, 200, 200, 200]);
  identity.frozen = [ASHA];
  const closed = await until(ask, [403, 403, 200, 200]);
  const refused = await edge.as(asha, "/v1/orders");
  assert.deepEqual([refused.json.code, refused.headers["www-authenticate"]], ["trading_frozen", undefined]);
  identity.frozen = ["everybody"];
  const forAll = await until(ask, [403, 403, 403, 200]);
  identity.frozen = [];
  const opened = await until(ask, [200, 200, 200, 200]);
  console.log(`closed after ${closed} ms, for everybody after ${forAll} ms, open after ${opened} ms`);
});

test("an isolate that starts while somebody is frozen does not let them in once", async () => {
  const edge = await start();
  edge.identity.frozen = [ASHA];
  const answers = await Promise.all(Array.from({ length: 20 }, () => edge.as({ sub: ASHA, roles: ["trader"] }, "/v1/orders")));
  assert.ok(answers.every(({ status }) => status === 403), answers.map(({ status }) => status).join());
});

test("a route of trading is refused where nobody would tell the edge of a freeze", async () => {
  const edge = await start({ variables: { REVOCATION_POLL: "0" } });
  assert.equal((await edge.as({}, "/v1/portfolio")).status, 503);
});
