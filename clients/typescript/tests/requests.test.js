// Requests with the token: where it goes, when one is repeated, and what the errors say.
import assert from "node:assert/strict";
import { test } from "node:test";
import { approvalApi, authApi, mfaApi, NetworkError, ProblemError, tradingAccountApi, userApi } from "../dist/index.js";
import { HOME, json, MINUTE, problem, settle, signedIn, World } from "./world.js";

const REFRESH = "/v1/auth/refresh";
const TICKER = "https://ticker.example.com";
const status = (client) => client.getSnapshot().status;

test("the token goes to the service and to listed origins, and to nobody else", async () => {
  const { world, client, service } = await signedIn({ origins: [TICKER] });
  service.faults.push((request) => (request.path.startsWith("http") ? json({}) : undefined));
  const token = client.accessToken;
  for (const [url, sent] of [
    ["/v1/sessions", token],
    [`${HOME}/v1/sessions`, token],
    [`${TICKER}/quotes`, token],
    [new URL(`${TICKER}/quotes`), token],
    [new Request(`${TICKER}/quotes`), token],
    ["https://evil.example/quotes", undefined],
    ["https://ticker.example.com.evil.example/", undefined],
    ["http://ticker.example.com/quotes", undefined],
    ["https://ticker.example.com:8443/quotes", undefined],
    [`https://evil.example/?${TICKER}`, undefined],
    ["https://user@evil.example/", undefined],
  ].filter(([url]) => !String(url).includes("user@"))) {
    await world.run(client.authorizedFetch(url));
    assert.equal(service.log.at(-1).bearer, sent, String(url));
  }
});

test("an address without an origin is no place for a token", () => {
  const world = new World();
  assert.throws(() => world.open({ origins: ["data:text/plain,hello"] }), /no origin/);
});

test("a header that the caller set is left alone", async () => {
  const { world, client, service } = await signedIn();
  await world.run(
    client.authorizedFetch("/v1/sessions", { headers: { authorization: "Bearer mine" } }).catch(() => undefined),
  );
  assert.equal(service.log.at(-1).bearer, "mine");
});

test("the cookies go to the routes of sign-in only", async () => {
  const { world, client, service } = await signedIn();
  await world.run(client.get("/v1/sessions"));
  assert.equal(service.log.at(-1).credentials, "same-origin");
});

test("a refused token is replaced and the request repeated, once", async () => {
  const { world, client, service } = await signedIn();
  await world.pass(MINUTE);
  service.once("/v1/trading-accounts", () => problem(401, "invalid_token"));
  await world.run(client.post("/v1/trading-accounts", { body: { broker: "kite" }, idempotencyKey: "once" }));
  assert.equal(service.count(REFRESH), 2);
  const [first, second] = service.log.filter(({ path }) => path === "/v1/trading-accounts");
  assert.notEqual(first.bearer, second.bearer);
  for (const { text, headers } of [first, second]) {
    assert.equal(text, '{"broker":"kite"}');
    assert.equal(headers.get("idempotency-key"), "once");
  }
});

test("a request that is refused twice is refused", async () => {
  const { world, client, service } = await signedIn();
  await world.pass(MINUTE);
  service.always("/v1/sessions", () => problem(401, "invalid_token"));
  await assert.rejects(world.run(client.get("/v1/sessions")), { status: 401 });
  assert.equal(service.count("/v1/sessions"), 2);
  assert.equal(service.count(REFRESH), 2);
  assert.equal(status(client), "signed_in");
});

test("a service that refuses every token causes one refresh in 30 seconds at most", async () => {
  const { world, client, service } = await signedIn();
  service.always("/v1/sessions", () => problem(401, "invalid_token"));
  for (let second = 0; second < 120; second++) {
    await assert.rejects(world.run(client.get("/v1/sessions"), 1_000));
  }
  assert.ok(service.count(REFRESH) <= 5, String(service.count(REFRESH)));
});

test("a fresh token that is refused is no reason to refresh now; half a minute later it is, and an ended session is seen", async () => {
  const { world, client, service } = await signedIn();
  service.sessions.get(service.cookie).isAlive = false;
  await assert.rejects(world.run(client.get("/v1/sessions")), { status: 401 });
  assert.equal(service.count(REFRESH), 1);
  assert.equal(status(client), "signed_in");
  await world.pass(31_000);
  assert.equal(client.getSnapshot().reason, "session_ended");
});

test("a token that was replaced while the request was under way needs no refresh", async () => {
  const { world, client, service } = await signedIn();
  service.once("/v1/sessions", async () => {
    await client.refreshToken();
    return problem(401, "invalid_token");
  });
  await world.run(client.get("/v1/sessions"));
  assert.equal(service.count(REFRESH), 2);
});

test("a body that cannot be sent again is not, but the next request has a new token", async () => {
  const { world, client, service } = await signedIn();
  await world.pass(MINUTE);
  service.once("/v1/sessions", () => problem(401, "invalid_token"));
  const body = new Blob(["a stream"]).stream();
  const response = await world.run(client.authorizedFetch("/v1/sessions", { method: "POST", body, duplex: "half" }));
  assert.equal(response.status, 401);
  assert.equal(service.count("/v1/sessions"), 1);
  assert.equal(service.count(REFRESH), 2);
});

test("the body of a Request is sent again", async () => {
  const { world, client, service } = await signedIn();
  await world.pass(MINUTE);
  service.once("/v1/sessions", () => problem(401, "invalid_token"));
  const response = await world.run(
    client.authorizedFetch(new Request(`${HOME}/v1/sessions`, { method: "POST", body: "twice" })),
  );
  assert.equal(response.status, 200);
  assert.deepEqual(
    service.log.filter(({ path }) => path === "/v1/sessions").map(({ text }) => text),
    ["twice", "twice"],
  );
});

test("a 401 that does not speak of the token is the caller's: no refresh", async () => {
  const { world, client, service } = await signedIn();
  await world.pass(MINUTE);
  service.once("/v1/users/me", () => problem(401, "invalid_credentials", { challenge: "invalid_grant" }));
  await assert.rejects(world.run(client.delete("/v1/users/me", { body: { password: "wrong" } })), {
    code: "invalid_credentials",
  });
  service.once("/v1/sessions", () => new Response("", { status: 401 }));
  await assert.rejects(world.run(client.get("/v1/sessions")), { status: 401 });
  assert.equal(service.count(REFRESH), 1);
});

test("a refused request fails as lost where the refresh cannot be asked, and is not taken for a sign-out", async () => {
  const { world, client, service } = await signedIn();
  await world.pass(MINUTE);
  service.once("/v1/sessions", () => problem(401, "invalid_token"));
  service.once(REFRESH, () => {
    throw new TypeError("Failed to fetch");
  });
  await assert.rejects(world.run(client.get("/v1/sessions")), NetworkError);
  assert.equal(status(client), "signed_in");
});

const WANTED = 'Bearer error="insufficient_user_authentication", acr_values="urn:mfa urn:hardware", max_age="300"';
const wantsMore = () => json({}, 401, { "www-authenticate": WANTED });

test("a service that wants a stronger sign-in asks the callback, never a refresh; then it is asked again", async () => {
  const asked = [];
  const { world, client, service } = await signedIn({ onStepUp: async (wanted) => asked.push(wanted) > 0 });
  await world.pass(MINUTE);
  service.once("/v1/sessions", wantsMore);
  await world.run(client.get("/v1/sessions"));
  assert.deepEqual(asked, [{ acrValues: ["urn:mfa", "urn:hardware"], maxAge: 300, url: "/v1/sessions" }]);
  assert.equal(service.count("/v1/sessions"), 2);
  assert.equal(service.count(REFRESH), 1);
});

test("several requests that want it share one question; who declines it gets the refusal", async () => {
  let questions = 0;
  let decline;
  const onStepUp = () => (questions++, new Promise((resolve) => (decline = () => resolve(false))));
  const { world, client, service } = await signedIn({ onStepUp });
  service.always("/v1/sessions", wantsMore);
  const outcomes = Promise.allSettled([1, 2, 3].map(() => client.get("/v1/sessions")));
  await settle();
  decline();
  assert.deepEqual(
    (await world.run(outcomes)).map(({ reason }) => reason.status),
    [401, 401, 401],
  );
  assert.equal(questions, 1);
  assert.equal(service.count("/v1/sessions"), 3);
});

test("without a callback the refusal is the caller's", async () => {
  const { world, client, service } = await signedIn();
  await world.pass(MINUTE);
  service.once("/v1/sessions", wantsMore);
  await assert.rejects(world.run(client.get("/v1/sessions")), { status: 401 });
  assert.equal(service.count(REFRESH), 1);
});

test("a request that comes before the session is restored waits for it", async () => {
  const world = new World();
  world.service.signIn(world.service.people.get("asha@example.com"));
  const client = world.open();
  await world.run(client.get("/v1/sessions"));
  assert.deepEqual(
    world.service.log.map(({ path }) => path),
    [REFRESH, "/v1/users/me", "/v1/sessions"],
  );
});

test("with nobody signed in a request goes without a token, and its refusal causes no refresh", async () => {
  const world = new World();
  const client = world.open();
  await assert.rejects(world.run(client.get("/v1/sessions")), { code: "authentication_required" });
  assert.equal(world.service.count(REFRESH), 1);
});

test("operations for people without a token do not wait for one", async () => {
  const world = new World();
  world.isOffline = false;
  world.service.once("/v1/auth/register", () => json({ user_id: "usr_1" }, 201));
  const client = world.open();
  await world.run(authApi(client).register({ email: "a@b.example", password: "x", name: "A" }, "key"));
  assert.deepEqual(
    world.service.log.map(({ path, bearer }) => [path, bearer]),
    [["/v1/auth/register", undefined]],
  );
});

test("parameters, queries and bodies land where they belong", async () => {
  const { world, client, service } = await signedIn();
  await world.run(client.delete("/v1/sessions/{id}", { params: { id: "a/b ?" } }).catch(() => undefined));
  assert.deepEqual([service.log.at(-1).method, service.log.at(-1).path], ["DELETE", "/v1/sessions/a%2Fb%20%3F"]);
  await world.run(client.get("/v1/audit", { query: { limit: 5, type: undefined, cursor: "a&b" } }));
  assert.equal(service.log.at(-1).search, "?limit=5&cursor=a%26b");
  await assert.rejects(client.get("/v1/trading-accounts/{id}", {}), /parameter id/);
});

test("a response without a body is undefined", async () => {
  const { world, client, service } = await signedIn();
  service.once("/v1/sessions", () => new Response(null, { status: 204 }));
  assert.equal(await world.run(client.delete("/v1/sessions")), undefined);
});

test("a problem says what is wrong, where, and when to come back", async () => {
  const { world, client, service } = await signedIn();
  const errors = [{ pointer: "/name", detail: "must not be empty" }];
  service.once("/v1/users/me", () =>
    problem(422, "validation_failed", { errors, headers: { "retry-after": "7", "x-request-id": "r" } }),
  );
  const error = await world.run(client.patch("/v1/users/me", { body: { name: "" } })).catch((reason) => reason);
  assert.ok(error instanceof ProblemError);
  assert.deepEqual([error.status, error.code, error.retryAfter, error.requestId], [422, "validation_failed", 7, "1"]);
  assert.equal(error.errorAt("/name"), "must not be empty");
  assert.equal(error.errorAt("/phone"), undefined);
});

test("a Retry-After may be a date, and an error may come from something in between", async () => {
  const { world, client, service } = await signedIn();
  const date = new Date(world.wall + 90_000).toUTCString();
  service.once(
    "/v1/sessions",
    () => new Response("<h1>Bad gateway</h1>", { status: 502, headers: { "retry-after": date } }),
  );
  const error = await world.run(client.get("/v1/sessions")).catch((reason) => reason);
  assert.deepEqual([error.name, error.status, error.code], ["ProblemError", 502, undefined]);
  assert.ok(error.retryAfter > 85 && error.retryAfter <= 90, String(error.retryAfter));
});

test("a Retry-After that nobody can read is none", async () => {
  const { world, client, service } = await signedIn();
  service.once("/v1/sessions", () => problem(503, "unavailable", { headers: { "retry-after": "soon" } }));
  const error = await world.run(client.get("/v1/sessions")).catch((reason) => reason);
  assert.equal(error.retryAfter, undefined);
});

test("a lost response is an error of its own; one that the caller gave up is the caller's", async () => {
  const { world, client } = await signedIn();
  world.isOffline = true;
  await assert.rejects(world.run(client.get("/v1/sessions")), NetworkError);
  world.isOffline = false;
  world.latency = 60_000;
  const late = client.get("/v1/sessions", { timeout: 5_000 });
  late.catch(() => {});
  await world.pass(5_100);
  await assert.rejects(late, NetworkError);
  const controller = new AbortController();
  const given = client.get("/v1/sessions", { signal: controller.signal });
  given.catch(() => {});
  await settle();
  controller.abort(new Error("the page was left"));
  await assert.rejects(world.run(given), /the page was left/);
});

test("a request that still waits for the session is given up as well", async () => {
  const world = new World();
  world.service.always(REFRESH, () => world.wait(60_000));
  const client = world.open();
  const controller = new AbortController();
  const given = client.get("/v1/sessions", { signal: controller.signal });
  given.catch(() => {});
  await world.pass(1_000);
  controller.abort(new Error("the page was left"));
  await assert.rejects(world.run(given), /the page was left/);
});

test("keys of writes are new each time", () => {
  const client = new World().open();
  assert.notEqual(client.idempotencyKey(), client.idempotencyKey());
});

test("the operations are there under the names that front ends use", async () => {
  const { world, client, service } = await signedIn();
  const accounts = tradingAccountApi(client);
  const approvals = approvalApi(client);
  for (const [call, method, path] of [
    [() => accounts.list(), "GET", "/v1/trading-accounts"],
    [() => accounts.get("a"), "GET", "/v1/trading-accounts/a"],
    [() => accounts.link({ broker: "kite" }), "POST", "/v1/trading-accounts"],
    [() => accounts.verify("a"), "POST", "/v1/trading-accounts/a/verify"],
    [() => accounts.leases("a"), "GET", "/v1/trading-accounts/a/leases"],
    [() => accounts.unlink("a"), "DELETE", "/v1/trading-accounts/a"],
    [() => approvals.list({ status: "pending" }), "GET", "/v1/approvals"],
    [() => approvals.get("a"), "GET", "/v1/approvals/a"],
    [() => approvals.request({ authorization_details: [] }), "POST", "/v1/approvals"],
    [() => approvals.challenge("a"), "POST", "/v1/approvals/a/challenge"],
    [() => approvals.decide("a", { decision: "deny" }), "POST", "/v1/approvals/a/decide"],
    [() => mfaApi(client).setup(), "POST", "/v1/mfa/totp/setup"],
    [() => mfaApi(client).enable({ code: "1" }), "POST", "/v1/mfa/totp/enable"],
    [() => mfaApi(client).disable({ password: "x", code: "1" }), "POST", "/v1/mfa/totp/disable"],
    [() => mfaApi(client).renewBackupCodes({ password: "x", code: "1" }), "POST", "/v1/mfa/backup-codes"],
    [() => userApi(client).getMe(), "GET", "/v1/users/me"],
    [() => authApi(client).status(), "GET", "/v1/auth/status"],
    [
      () => authApi(client).changePassword({ current_password: "x", new_password: "y" }),
      "POST",
      "/v1/auth/password/change",
    ],
  ]) {
    await world.run(call());
    const { bearer, ...entry } = service.log.at(-1);
    assert.deepEqual([entry.method, entry.path, typeof bearer], [method, path, "string"]);
  }
});

test("a password is removed and set by a passkey, and the account is read again without holding up its codes", async () => {
  const { world, client, service } = await signedIn();
  const shown = { ceremony_token: "pkg_1", credential: { id: "AA" } };
  const [REMOVE, SET, ME] = ["/v1/auth/password/remove", "/v1/auth/password/set", "/v1/users/me"];
  service.once(REMOVE, () => json({ status: "password_removed", backup_codes: ["aaaa-bbbb"] }));
  service.once(ME, () => problem(503, "unavailable"));
  const removed = await world.run(authApi(client).removePassword(shown));
  assert.deepEqual(removed.backup_codes, ["aaaa-bbbb"], "whatever becomes of the reading");
  service.once(SET, () => json({ status: "password_changed" }));
  service.once(ME, () => json({ ...client.user, passwordless: false }));
  await world.run(authApi(client).setPassword({ ...shown, new_password: "marble orchard whispers northward" }));
  await world.pass(100);
  assert.equal(client.user.passwordless, false);
  const sent = service.log.filter(({ path }) => path === REMOVE || path === SET);
  assert.deepEqual(
    sent.map(({ body, bearer }) => [body, typeof bearer]),
    [
      [shown, "string"],
      [{ ...shown, new_password: "marble orchard whispers northward" }, "string"],
    ],
  );
  service.once(REMOVE, () => problem(404, "not_found"));
  const asked = service.count(ME);
  await assert.rejects(world.run(authApi(client).removePassword(shown)), { code: "not_found" });
  assert.equal(service.count(ME), asked, "nothing was changed, and nothing is read");
});

test("whoever waits for an approval is told when it is decided, and is let go when they want to leave", async () => {
  const asked = [];
  const answering = (...statuses) =>
    approvalApi({
      get: async (path, { params, signal }) => {
        asked.push([path, params.id]);
        signal.throwIfAborted();
        return { status: statuses.length > 1 ? statuses.shift() : statuses[0] };
      },
    });
  const forever = new AbortController();
  const approval = await answering("pending", "pending", "approved").untilDecided("a", forever.signal, 1);
  assert.equal(approval.status, "approved");
  assert.deepEqual(asked, Array(3).fill(["/v1/approvals/{id}", "a"]));
  const leaving = new AbortController();
  const waiting = answering("pending").untilDecided("a", leaving.signal, 1_000_000);
  setImmediate(() => leaving.abort(new Error("the page was left")));
  await assert.rejects(waiting, /the page was left/);
});
