// An axios instance that exists already, with the same rules.
import assert from "node:assert/strict";
import { test } from "node:test";
import axios from "axios";
import { HOME, MINUTE, problem, signedIn } from "./world.js";

const REFRESH = "/v1/auth/refresh";

async function attached(options) {
  const { world, client, service } = await signedIn(options);
  const instance = axios.create({
    baseURL: HOME,
    adapter: "fetch",
    env: { fetch: (...args) => world.fetch(...args), Request: null },
  });
  return { world, client, service, instance, detach: client.attachAxios(instance) };
}

test("requests of the instance carry the token to listed origins only", async () => {
  const { world, client, service, instance } = await attached();
  await world.run(instance.get("/v1/sessions"));
  assert.equal(service.log.at(-1).bearer, client.accessToken);
  service.faults.push((request) => (request.path.startsWith("http") ? Response.json({}) : undefined));
  for (const url of ["https://evil.example/quotes", "//evil.example/quotes"]) {
    await world.run(instance.get(url));
    assert.equal(service.log.at(-1).bearer, undefined, url);
  }
});

test("a refused token is replaced and the request repeated once, with its body", async () => {
  const { world, service, instance } = await attached();
  await world.pass(MINUTE);
  service.once("/v1/sessions", () => problem(401, "invalid_token"));
  const { status } = await world.run(instance.post("/v1/sessions", { broker: "kite" }));
  assert.equal(status, 200);
  assert.equal(service.count(REFRESH), 2);
  const sent = service.log.filter(({ path }) => path === "/v1/sessions");
  assert.deepEqual(
    sent.map(({ text }) => text),
    ['{"broker":"kite"}', '{"broker":"kite"}'],
  );
  assert.notEqual(sent[0].bearer, sent[1].bearer);
  await world.pass(MINUTE);
  service.always("/v1/sessions", () => problem(401, "invalid_token"));
  await assert.rejects(world.run(instance.get("/v1/sessions")), { status: 401 });
  assert.equal(service.count("/v1/sessions"), 4);
});

test("other failures are left to the caller", async () => {
  const { world, service, instance } = await attached();
  await world.pass(MINUTE);
  service.once("/v1/sessions", () => problem(403, "forbidden"));
  await assert.rejects(world.run(instance.get("/v1/sessions")), { status: 403 });
  world.isOffline = true;
  await assert.rejects(world.run(instance.get("/v1/sessions")), { code: "ERR_NETWORK" });
  assert.equal(service.count(REFRESH), 1);
});

test("an instance that is detached sends no token any more", async () => {
  const { world, service, instance, detach } = await attached();
  detach();
  await assert.rejects(world.run(instance.get("/v1/sessions")));
  assert.equal(service.log.at(-1).bearer, undefined);
});
