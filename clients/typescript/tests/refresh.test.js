// When a token is refreshed, what a failure costs, and what the clocks have to do with it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { NetworkError, ProblemError, SignedOutError } from "../dist/index.js";
import { ASHA, HOUR, json, LIFETIME, MINUTE, problem, settle, signedIn, World } from "./world.js";

const REFRESH = "/v1/auth/refresh";
const status = (client) => client.getSnapshot().status;

test("a page that is opened restores the session of its cookie, with one refresh and one reading of the profile", async () => {
  const { client, service } = await signedIn();
  assert.equal(status(client), "signed_in");
  assert.deepEqual(client.user, ASHA);
  assert.deepEqual(
    service.log.map(({ path }) => path),
    [REFRESH, "/v1/users/me"],
  );
  assert.equal(service.log[0].credentials, "include");
});

test("without a session it is known at once that nobody is signed in", async () => {
  const world = new World();
  const client = world.open();
  assert.equal(status(client), "restoring");
  client.start();
  await world.pass(100);
  assert.deepEqual(client.getSnapshot(), {
    status: "signed_out",
    user: null,
    accessToken: null,
    reason: "none",
    trouble: null,
  });
});

test("a token is refreshed at 80 % of its lifetime, give or take a tenth of that", async () => {
  for (const [chance, share] of [
    [0, 0.72],
    [0.5, 0.8],
    [0.999999, 0.88],
  ]) {
    const world = new World();
    world.chance = chance;
    world.service.signIn(ASHA);
    const client = world.open();
    client.start();
    await world.pass(0);
    await world.pass(100);
    const due = LIFETIME * 1000 * share;
    await world.pass(due - 200);
    assert.equal(world.service.count(REFRESH), 1, `${chance}: too early`);
    await world.pass(300);
    assert.equal(world.service.count(REFRESH), 2, `${chance}: too late`);
    client.close();
  }
});

test("a laptop that slept for 12 hours refreshes at its next look, though the monotonic clock stood still", async () => {
  const { world, client, service } = await signedIn();
  world.sleep(12 * HOUR);
  await world.pass(30_000);
  assert.equal(service.count(REFRESH), 2);
  assert.equal(status(client), "signed_in");
});

test("a page that is seen again, or online again, refreshes at once when it is time", async () => {
  const { world, client, service } = await signedIn();
  client.tab.wake();
  await world.pass(100);
  assert.equal(service.count(REFRESH), 1, "it was not time");
  world.sleep(12 * HOUR);
  client.tab.wake();
  await world.pass(100);
  assert.equal(service.count(REFRESH), 2);
});

test("a wall clock that is set back by an hour delays no refresh", async () => {
  const { world, service } = await signedIn();
  world.wall -= HOUR;
  await world.pass(0.8 * LIFETIME * 1000 + 100);
  assert.equal(service.count(REFRESH), 2);
});

test("a wall clock that is set forward by an hour costs one early refresh and nobody the session", async () => {
  const { world, client, service } = await signedIn();
  world.wall += HOUR;
  await world.pass(31_000);
  assert.equal(service.count(REFRESH), 2);
  await world.pass(5 * MINUTE);
  assert.equal(service.count(REFRESH), 2);
  assert.equal(status(client), "signed_in");
});

test("a tab that nobody sees does not refresh until it is seen, or sends a request", async () => {
  const { world, client, service } = await signedIn();
  client.tab.isVisible = false;
  await world.pass(2 * HOUR);
  // The network comes back, which wakes hidden tabs as well; and one look was under way when it was hidden.
  client.tab.wake();
  await world.pass(100);
  assert.equal(service.count(REFRESH), 1);
  await world.run(client.get("/v1/sessions"));
  assert.equal(service.count(REFRESH), 2);
});

test("a request that finds less than 30 seconds left refreshes first", async () => {
  const { world, client, service } = await signedIn();
  client.tab.isVisible = false;
  await world.pass(LIFETIME * 1000 - 31_000);
  await world.run(client.get("/v1/sessions"));
  assert.equal(service.count(REFRESH), 1);
  await world.pass(2_000);
  await world.run(client.get("/v1/sessions"));
  assert.equal(service.count(REFRESH), 2);
});

test("ten requests at once share one refresh", async () => {
  const { world, client, service } = await signedIn();
  world.sleep(12 * HOUR);
  await world.run(Promise.all(Array.from({ length: 10 }, () => client.get("/v1/sessions"))));
  assert.equal(service.count(REFRESH), 2);
  assert.equal(service.count("/v1/sessions"), 10);
});

test("only a 401 of the refresh ends the session, whatever its code", async () => {
  for (const code of ["invalid_refresh_token", "session_revoked", "authentication_required"]) {
    const { world, client, service } = await signedIn();
    service.once(REFRESH, () => problem(401, code));
    await assert.rejects(world.run(client.refreshToken()), SignedOutError);
    assert.equal(client.getSnapshot().reason, "session_ended");
    assert.equal(client.user, null);
  }
});

for (const [name, fault] of [
  [
    "a network that is down",
    () => {
      throw new TypeError("Failed to fetch");
    },
  ],
  ["a 429", () => problem(429, "too_many_attempts")],
  ["a 500", () => problem(500, "internal_error")],
  ["a 503", () => problem(503, "unavailable")],
  ["a 403", () => problem(403, "origin_not_allowed")],
  ["a page in HTML with status 200", () => new Response("<html>Sign in to the hotel's network</html>")],
  ["JSON of somebody else", () => json({ ok: true })],
]) {
  test(`${name} costs nobody the session, and is tried again`, async () => {
    const { world, client, service } = await signedIn();
    const stop = service.always(REFRESH, fault);
    await assert.rejects(
      world.run(client.refreshToken()),
      (error) => error instanceof NetworkError || error instanceof ProblemError,
    );
    assert.equal(status(client), "signed_in");
    assert.ok(client.getSnapshot().trouble);
    await world.pass(5 * MINUTE);
    stop();
    await world.pass(MINUTE);
    assert.equal(client.getSnapshot().trouble, null);
    assert.equal(status(client), "signed_in");
  });

  test(`${name} while the page is opened leaves it restoring until it is known`, async () => {
    const world = new World();
    world.service.signIn(ASHA);
    const stop = world.service.always(REFRESH, fault);
    const client = world.open();
    client.start();
    await world.pass(5 * MINUTE);
    assert.equal(status(client), "restoring");
    stop();
    await world.pass(MINUTE);
    assert.equal(status(client), "signed_in");
  });
}

test("pauses double with full jitter, and no more than a minute passes between two tries", async () => {
  const { world, service } = await signedIn();
  world.isOffline = true;
  const tries = [];
  const fetch = world.fetch.bind(world);
  world.fetch = (input, init) => {
    if (String(input).endsWith(REFRESH)) tries.push(world.mono);
    return fetch(input, init);
  };
  world.chance = 0.999999;
  await world.pass(30 * MINUTE);
  const pauses = tries.slice(1).map((at, index) => Math.round((at - tries[index]) / 1000));
  // Looks every 30 seconds find that it is not time yet.
  assert.deepEqual(pauses.slice(0, 7), [1, 2, 4, 8, 16, 32, 60]);
  assert.ok(
    pauses.every((pause) => pause <= 61),
    String(pauses),
  );
  assert.equal(service.count(REFRESH), 1);
});

test("with other luck the pauses are shorter: nobody comes back in step", async () => {
  const { world, client } = await signedIn();
  world.isOffline = true;
  world.chance = 0;
  await assert.rejects(world.run(client.refreshToken()));
  let tries = 0;
  const fetch = world.fetch.bind(world);
  world.fetch = (input, init) =>
    tries++ === 0 ? Promise.reject(new TypeError("down")) : ((world.isOffline = false), fetch(input, init));
  await world.pass(100);
  assert.equal(client.getSnapshot().trouble, null);
});

test("a Retry-After is kept, also by those who wake up or send requests", async () => {
  const { world, client, service } = await signedIn();
  world.sleep(12 * HOUR);
  service.once(REFRESH, () => problem(503, "unavailable", { headers: { "retry-after": "40" } }));
  await assert.rejects(world.run(client.get("/v1/sessions")), (error) => error.retryAfter === 40);
  for (let tries = 0; tries < 5; tries++) {
    client.tab.wake();
    await assert.rejects(world.run(client.get("/v1/sessions")), { status: 503 });
  }
  assert.equal(service.count(REFRESH), 2);
  await world.pass(42_000);
  assert.equal(service.count(REFRESH), 3);
  assert.equal(status(client), "signed_in");
});

test("while it cannot be refreshed, a token that still works is used", async () => {
  const { world, client, service } = await signedIn();
  client.tab.isVisible = false;
  await world.pass(LIFETIME * 1000 - 20_000);
  service.always(REFRESH, () => problem(503, "unavailable"));
  await world.run(client.get("/v1/sessions"));
  assert.equal(service.count("/v1/sessions"), 1);
});

test("offline at wake, then online: one refresh, as soon as the network is there", async () => {
  const { world, client, service } = await signedIn();
  world.isOffline = true;
  world.sleep(12 * HOUR);
  client.tab.wake();
  await world.pass(3_000);
  assert.equal(status(client), "signed_in");
  world.isOffline = false;
  client.tab.wake();
  await world.pass(100);
  assert.equal(service.count(REFRESH), 2);
  assert.equal(client.getSnapshot().trouble, null);
});

test("a response that was lost after the service rotated is asked for again within the grace period", async () => {
  const { world, client, service } = await signedIn();
  world.chance = 0.999999;
  const before = service.issued;
  service.once(REFRESH, (request) => {
    service.refresh(request);
    throw new TypeError("connection reset");
  });
  await assert.rejects(world.run(client.refreshToken()), NetworkError);
  await world.pass(2_000);
  assert.equal(service.issued, before + 2);
  assert.equal(status(client), "signed_in");
});

test("a response that does not come is given up after ten seconds, in time for another try within the grace period", async () => {
  const { world, client, service } = await signedIn();
  world.latency = HOUR;
  const refreshed = client.refreshToken();
  refreshed.catch(() => {});
  await world.pass(10_100);
  await assert.rejects(refreshed, NetworkError);
  world.latency = 0;
  await world.pass(2_000);
  assert.equal(service.count(REFRESH), 3);
  assert.equal(client.getSnapshot().trouble, null);
});

test("the profile that cannot be read keeps the page restoring, and costs no further refresh", async () => {
  const world = new World();
  world.service.signIn(ASHA);
  const stop = world.service.always("/v1/users/me", () => problem(503, "unavailable"));
  const client = world.open();
  client.start();
  await world.pass(20_000);
  assert.equal(status(client), "restoring");
  stop();
  await world.pass(MINUTE);
  assert.equal(status(client), "signed_in");
  assert.equal(world.service.count(REFRESH), 1);
});

test("the state is replaced when a value in it changes, and never otherwise", async () => {
  const { world, client } = await signedIn();
  let changes = 0;
  client.subscribe(() => changes++);
  const before = client.getSnapshot();
  client.tab.wake();
  await world.run(client.reloadUser());
  await world.pass(MINUTE);
  assert.equal(client.getSnapshot(), before);
  assert.equal(changes, 0);
});

test("a client that is closed leaves no timer", async () => {
  const { world, client } = await signedIn();
  client.close();
  await settle();
  assert.equal(world.timers.size, 0);
});

const STEP_UP = "/v1/auth/step-up";
const wantsMore = () =>
  problem(401, "insufficient_user_authentication", {
    headers: { "www-authenticate": 'Bearer error="insufficient_user_authentication", acr_values="aal2"' },
  });

test("a session that lacks a factor is not over: the application is asked, and goes on with the token of its proof", async () => {
  const asked = [];
  const onStepUp = async (wanted) => {
    asked.push(wanted);
    await client.stepUp({ code: "123456" });
    return true;
  };
  const { world, client, service } = await signedIn({ onStepUp });
  const stop = service.always(REFRESH, wantsMore);
  service.once(STEP_UP, () => {
    stop();
    return json({ acr: "aal2", auth_time: 1, ...service.tokens("ses_1") });
  });
  const token = await world.run(client.refreshToken());
  assert.equal(token, client.accessToken);
  assert.equal(status(client), "signed_in");
  assert.deepEqual(asked, [{ acrValues: ["aal2"], maxAge: undefined, url: REFRESH }]);
});

test("a page that is opened on such a session proves it by the cookie alone", async () => {
  const world = new World();
  world.service.signIn(ASHA);
  world.service.always(REFRESH, wantsMore);
  world.service.once(STEP_UP, () => json({ acr: "aal2", auth_time: 1, ...world.service.tokens("ses_1") }));
  const onStepUp = () => client.stepUp({ password: "copper" }).then(() => true);
  const client = world.open({ onStepUp });
  client.start();
  await world.pass(200);
  assert.equal(status(client), "signed_in");
  assert.deepEqual(client.user, ASHA);
  const { bearer, credentials } = world.service.log.find(({ path }) => path === STEP_UP);
  assert.deepEqual([bearer, credentials], [undefined, "include"]);
});

test("who declines such a proof is signed out, and so is everybody whose application cannot ask", async () => {
  for (const options of [{ onStepUp: () => false }, {}]) {
    const { world, client, service } = await signedIn(options);
    service.always(REFRESH, wantsMore);
    await assert.rejects(world.run(client.refreshToken()), SignedOutError);
    assert.deepEqual([status(client), client.getSnapshot().reason], ["signed_out", "session_ended"]);
    assert.equal(service.count(REFRESH), 2, "it is not tried again");
  }
});

test("while the application asks, the other tabs are not kept waiting", async () => {
  let decline;
  const { world, client, service } = await signedIn({ onStepUp: () => new Promise((resolve) => (decline = resolve)) });
  service.once(REFRESH, wantsMore);
  const refused = client.refreshToken();
  refused.catch(() => undefined);
  await world.pass(1_000);
  assert.equal(world.holder, undefined, "no lock is held");
  decline(false);
  await assert.rejects(world.run(refused), SignedOutError);
});
