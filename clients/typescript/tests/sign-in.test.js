// Signing in, in one step or two, and signing out.
import assert from "node:assert/strict";
import { test } from "node:test";
import { NetworkError, ProblemError, SignedOutError } from "../dist/index.js";
import { ASHA, json, MINUTE, problem, RAVI, settle, signedIn, World } from "./world.js";

const [REFRESH, LOGIN, LOGOUT, VERIFY, ROTATE, PASSKEY] = [
  "refresh",
  "login",
  "logout",
  "mfa/verify",
  "password/rotate",
  "passkey/verify",
].map((name) => `/v1/auth/${name}`);
const PASSWORD = { identifier: ASHA.email, password: "copper lantern drifts upstream" };
const status = (client) => client.getSnapshot().status;
const bodies = (service, path) => service.log.filter((entry) => entry.path === path).map(({ body }) => body);

async function signedOut(options) {
  const world = new World();
  const client = world.open(options);
  client.start();
  await world.pass(100);
  return { world, client, service: world.service };
}

test("a sign-in sends the cookies, and no token", async () => {
  const { world, client, service } = await signedOut();
  const state = await world.run(client.login({ ...PASSWORD, persistSession: true, deviceName: "desk" }));
  assert.equal(state.status, "signed_in");
  assert.deepEqual(state.user, ASHA);
  const { credentials, bearer, body } = service.log.at(-1);
  assert.deepEqual([credentials, bearer], ["include", undefined]);
  assert.deepEqual(body, {
    email: ASHA.email,
    password: PASSWORD.password,
    persist_session: true,
    device_name: "desk",
  });
});

test("a name without @ is a username", async () => {
  const { world, client, service } = await signedOut();
  await assert.rejects(world.run(client.login({ identifier: " asha ", password: "x" })));
  await assert.rejects(world.run(client.login({ username: "asha", password: "x" })));
  await assert.rejects(world.run(client.login({ email: "a@b.example", password: "x" })));
  assert.deepEqual(bodies(service, LOGIN), [
    { username: "asha", password: "x" },
    { username: "asha", password: "x" },
    { email: "a@b.example", password: "x" },
  ]);
});

test("a wrong password is an error with a code, and changes nothing", async () => {
  const { world, client } = await signedOut();
  const before = client.getSnapshot();
  const error = await world
    .run(client.login({ identifier: "nobody@example.com", password: "x" }))
    .catch((reason) => reason);
  assert.ok(error instanceof ProblemError);
  assert.deepEqual([error.status, error.code], [401, "invalid_credentials"]);
  assert.equal(client.getSnapshot(), before);
});

test("a passkey signs in without a name, and sends no token", async () => {
  const { world, client, service } = await signedOut();
  const credential = { id: "AA", rawId: "AA", type: "public-key", response: {} };
  service.once(PASSKEY, () => problem(401, "invalid_credentials", { challenge: "invalid_grant" }));
  const proof = { ceremonyToken: "pkg_1", credential, persistSession: true };
  await assert.rejects(world.run(client.loginWithPasskey(proof)), { code: "invalid_credentials" });
  assert.equal(status(client), "signed_out");
  service.once(PASSKEY, () => json({ status: "authenticated", user: ASHA, ...service.signIn(ASHA) }));
  assert.equal((await world.run(client.loginWithPasskey(proof))).status, "signed_in");
  assert.deepEqual(bodies(service, PASSKEY).at(-1), { ceremony_token: "pkg_1", credential, persist_session: true });
  service.once(PASSKEY, () => problem(403, "password_expired", { session_token: "rot_1" }));
  await world.run(client.logout());
  assert.equal((await world.run(client.loginWithPasskey(proof))).status, "password_expired");
});

test("a second factor is asked for, and its code is taken as people paste it", async () => {
  const { world, client, service } = await signedOut();
  service.once(LOGIN, () =>
    json({ status: "mfa_required", session_token: "st_1", methods: ["totp", "backup_code"], expires_in: 300 }),
  );
  assert.equal((await world.run(client.login(PASSWORD))).status, "mfa_required");
  assert.deepEqual(client.getSnapshot().methods, ["totp", "backup_code"]);
  assert.ok(!JSON.stringify(client.getSnapshot()).includes("st_1"));
  service.once(VERIFY, () => problem(401, "invalid_code", { challenge: "invalid_grant" }));
  await assert.rejects(world.run(client.verifyMfa("000000")), { code: "invalid_code" });
  assert.equal(status(client), "mfa_required");
  service.once(VERIFY, () => json({ status: "authenticated", user: ASHA, ...service.signIn(ASHA) }));
  await world.run(client.verifyMfa(" 123 456\n"));
  assert.equal(status(client), "signed_in");
  assert.deepEqual(bodies(service, VERIFY).at(-1), { session_token: "st_1", code: "123456" });
});

test("a sign-in that took too long begins anew", async () => {
  const { world, client, service } = await signedOut();
  service.once(LOGIN, () =>
    json({ status: "mfa_required", session_token: "st_1", methods: ["totp"], expires_in: 300 }),
  );
  await world.run(client.login(PASSWORD));
  service.once(VERIFY, () => problem(401, "invalid_session_token", { challenge: "invalid_grant" }));
  await assert.rejects(world.run(client.verifyMfa("123456")), { code: "invalid_session_token" });
  assert.equal(status(client), "signed_out");
  await assert.rejects(world.run(client.verifyMfa("123456")), SignedOutError);
});

test("a sign-in that waits for its code can be given up", async () => {
  const { world, client, service } = await signedOut();
  service.once(LOGIN, () =>
    json({ status: "mfa_required", session_token: "st_1", methods: ["totp"], expires_in: 300 }),
  );
  await world.run(client.login(PASSWORD));
  client.cancelLogin();
  assert.equal(status(client), "signed_out");
});

test("a password that is too old is replaced, and that completes the sign-in", async () => {
  const { world, client, service } = await signedOut();
  service.once(LOGIN, () => problem(403, "password_expired", { session_token: "st_2" }));
  assert.equal((await world.run(client.login(PASSWORD))).status, "password_expired");
  service.once(ROTATE, () => json({ status: "authenticated", user: ASHA, ...service.signIn(ASHA) }));
  await world.run(client.rotatePassword("marble orchard whispers northward"));
  assert.equal(status(client), "signed_in");
  assert.deepEqual(bodies(service, ROTATE), [
    { session_token: "st_2", new_password: "marble orchard whispers northward" },
  ]);
});

test("a sign-out clears first and tells the service then, with token and cookie", async () => {
  const { world, client, service } = await signedIn();
  const token = client.accessToken;
  let seen;
  service.once(LOGOUT, () => {
    seen = [status(client), client.accessToken, client.user];
  });
  assert.deepEqual(await world.run(client.logout({ allDevices: true })), { confirmed: true });
  assert.deepEqual(seen, ["signed_out", null, null]);
  const { bearer, credentials, body } = service.log.at(-1);
  assert.deepEqual([bearer, credentials, body], [token, "include", { all_devices: true }]);
});

test("a refresh that comes back after the sign-out is discarded", async () => {
  const { world, client, service } = await signedIn();
  world.latency = 1_000;
  const refreshed = client.refreshToken();
  refreshed.catch(() => {});
  await world.pass(500);
  const done = client.logout();
  const seen = [];
  client.subscribe(() => seen.push(status(client)));
  await world.pass(5_000);
  await done;
  assert.equal(client.accessToken, null);
  assert.deepEqual(seen, []);
  assert.equal(service.count(REFRESH), 2);
  await assert.rejects(refreshed, SignedOutError);
});

test("a profile that comes back after the sign-out is discarded", async () => {
  const { world, client } = await signedIn();
  world.latency = 1_000;
  const reloaded = client.reloadUser();
  await world.pass(500);
  const left = client.logout();
  const seen = [];
  client.onUserChange((user) => seen.push(user));
  await world.run(Promise.all([left, reloaded]), 5_000);
  assert.deepEqual([client.user, seen], [null, []]);
});

for (const [name, respond] of [
  ["profile", () => json(ASHA)],
  ["refusal", () => problem(401, "invalid_token")],
]) {
  test(`a ${name} that comes back after a sign-out while the page was restored is discarded`, async () => {
    const world = new World();
    world.service.signIn(ASHA);
    world.service.once("/v1/users/me", () => world.wait(1_000).then(respond));
    const client = world.open();
    const seen = [];
    client.onUserChange((user) => seen.push(user));
    client.start();
    await world.pass(500);
    await world.run(client.logout(), 5_000);
    assert.deepEqual([status(client), client.getSnapshot().trouble, seen], ["signed_out", null, []]);
  });
}

test("a sign-out that the service did not hear of is repeated until it does", async () => {
  const { world, client, service } = await signedIn();
  const token = client.accessToken;
  world.isOffline = true;
  assert.deepEqual(await world.run(client.logout()), { confirmed: false });
  assert.equal(status(client), "signed_out");
  assert.ok(client.getSnapshot().trouble instanceof NetworkError);
  world.isOffline = false;
  await world.pass(2 * MINUTE);
  assert.equal(client.getSnapshot().trouble, null);
  assert.equal(service.log.at(-1).bearer, token);
  assert.equal(service.cookie, undefined);
});

test("a sign-out is not repeated once somebody has signed in again", async () => {
  const { world, client, service } = await signedIn();
  service.once(LOGOUT, () => problem(503, "unavailable"));
  await world.run(client.logout(), 0);
  await world.run(client.login({ identifier: RAVI.email, password: "x" }), 0);
  await world.pass(5 * MINUTE);
  assert.equal(status(client), "signed_in");
  assert.equal(service.count(LOGOUT), 1);
});

test("a sign-out is not repeated while a sign-in is under way, whose cookie it would take", async () => {
  const { world, client, service } = await signedIn();
  service.once(LOGOUT, () => problem(503, "unavailable"));
  await world.run(client.logout(), 0);
  world.latency = 5_000;
  await world.run(client.login({ identifier: RAVI.email, password: "x" }), 10_000);
  assert.equal(service.count(LOGOUT), 1);
  assert.deepEqual(client.user, RAVI);
});

test("a sign-out is not repeated once somebody has signed in again in another tab", async () => {
  const { world, client, service } = await signedIn();
  const second = world.open();
  second.start();
  await world.pass(100);
  service.once(LOGOUT, () => problem(503, "unavailable"));
  await world.run(client.logout(), 0);
  await world.run(second.login({ identifier: RAVI.email, password: "x" }), 0);
  await world.pass(5 * MINUTE);
  assert.deepEqual([client.user, second.user], [RAVI, RAVI]);
  assert.equal(service.count(LOGOUT), 1);
});

test("a sign-in waits for the sign-out before it, whose response removes the cookie", async () => {
  const { world, client, service } = await signedIn();
  world.latency = 100;
  const out = client.logout();
  const back = client.login({ identifier: RAVI.email, password: "x" });
  await world.run(Promise.all([out, back]), 1_000);
  assert.deepEqual(client.user, RAVI);
  assert.deepEqual(
    service.log.slice(-2).map(({ path }) => path),
    [LOGOUT, LOGIN],
  );
  assert.ok(service.cookie);
});

test("a sign-in waits for the refresh before it, whose response sets the cookie", async () => {
  const world = new World();
  world.latency = 100;
  const client = world.open();
  await world.run(client.login(PASSWORD), 2_000);
  assert.equal(status(client), "signed_in");
  assert.deepEqual(
    world.service.log.map(({ path }) => path),
    [REFRESH, LOGIN],
  );
});

test("a refresh of the session that ended holds nobody up", async () => {
  const { world, client, service } = await signedIn();
  service.once(REFRESH, () => world.wait(9_000).then(() => problem(401, "session_revoked")));
  client.refreshToken().catch(() => {});
  await world.pass(500);
  await world.run(client.logout());
  await world.run(client.login({ identifier: RAVI.email, password: "x" }), 500);
  assert.deepEqual(client.user, RAVI);
  await world.pass(10_000);
  assert.deepEqual(client.user, RAVI);
});

test("the token of a sign-in is refreshed as any other", async () => {
  const { world, client, service } = await signedOut();
  await world.run(client.login(PASSWORD));
  await world.pass(13 * MINUTE);
  assert.equal(service.count(REFRESH), 2);
});

test("whoever signs out while a sign-in is under way stays signed out, and its session is ended", async () => {
  const { world, client, service } = await signedOut();
  world.latency = 1_000;
  const signingIn = client.login(PASSWORD);
  signingIn.catch(() => {});
  await world.pass(100);
  const out = client.logout();
  await world.pass(5_000);
  await out;
  await assert.rejects(signingIn, SignedOutError);
  assert.equal(status(client), "signed_out");
  assert.equal(service.count(LOGOUT), 2);
  assert.ok([...service.sessions.values()].every(({ isAlive }) => !isAlive));
});

test("signing out twice, or with nobody signed in, is no error", async () => {
  const { world, client } = await signedOut();
  assert.deepEqual(await world.run(client.logout()), { confirmed: true });
  assert.deepEqual(await world.run(client.logout()), { confirmed: true });
  await settle();
  assert.equal(status(client), "signed_out");
});

const [OPTIONS, PASSKEYS] = ["/v1/passkeys/options", "/v1/passkeys"];
const RECOVER = "/v1/auth/password/recover";
const [SETUP, ENABLE, STEP_UP] = ["mfa/totp/setup", "mfa/totp/enable", "auth/step-up"].map((name) => `/v1/${name}`);

/** A sign-in whose roles need a second factor that is not there yet. */
async function enrolling() {
  const stage = await signedOut();
  stage.service.once(LOGIN, () =>
    json({ status: "mfa_enrolment_required", session_token: "st_3", methods: ["totp"], expires_in: 600 }),
  );
  assert.equal((await stage.world.run(stage.client.login(PASSWORD))).status, "mfa_enrolment_required");
  return stage;
}

test("a sign-in that needs a first factor sets it up, shows its codes, and begins when they are kept", async () => {
  const { world, client, service } = await enrolling();
  assert.deepEqual(client.getSnapshot().methods, ["totp"]);
  assert.ok(!JSON.stringify(client.getSnapshot()).includes("st_3"));
  service.once(SETUP, () => json({ secret: "ABCD", otpauth_uri: "otpauth://totp/x" }));
  assert.equal((await world.run(client.setUpFactor())).secret, "ABCD");
  service.once(ENABLE, () => problem(401, "invalid_code", { challenge: "invalid_grant" }));
  await assert.rejects(world.run(client.enableFactor("000000")), { code: "invalid_code" });
  service.once(ENABLE, () =>
    json({
      backup_codes: ["aaaa-bbbb"],
      session: { status: "authenticated", user: ASHA, ...service.signIn(ASHA) },
    }),
  );
  const { backupCodes, enter } = await world.run(client.enableFactor(" 123 456"));
  assert.deepEqual(backupCodes, ["aaaa-bbbb"]);
  assert.equal(status(client), "mfa_enrolment_required", "the codes are not kept yet");
  enter();
  assert.equal(status(client), "signed_in");
  assert.deepEqual(bodies(service, ENABLE).at(-1), { session_token: "st_3", code: "123456" });
  // The cookie of the session comes with the answer.
  const { credentials, bearer } = service.log.findLast(({ path }) => path === ENABLE);
  assert.deepEqual([credentials, bearer], ["include", undefined]);
});

test("a sign-in that needs a first factor may have a passkey made, and begins when its codes are kept", async () => {
  const { world, client, service } = await enrolling();
  service.once(OPTIONS, () => json({ ceremony_token: "pkf_1", publicKey: { challenge: "AAAA" }, expires_in: 300 }));
  assert.equal((await world.run(client.setUpPasskey())).ceremony_token, "pkf_1");
  const made = { ceremonyToken: "pkf_1", credential: { id: "AAAA" }, name: "Phone" };
  service.once(PASSKEYS, () => json({ passkey_id: "psk_1", name: "Phone" }));
  await assert.rejects(world.run(client.enablePasskey(made)), NetworkError, "an answer without a session is none");
  service.once(PASSKEYS, () =>
    json({
      passkey_id: "psk_1",
      backup_codes: ["aaaa-bbbb"],
      session: { status: "authenticated", user: ASHA, ...service.signIn(ASHA) },
    }),
  );
  const { backupCodes, enter } = await world.run(client.enablePasskey(made));
  assert.deepEqual(backupCodes, ["aaaa-bbbb"]);
  assert.equal(status(client), "mfa_enrolment_required", "the codes are not kept yet");
  enter();
  assert.equal(status(client), "signed_in");
  assert.deepEqual(bodies(service, OPTIONS), [{ session_token: "st_3" }]);
  const sent = { session_token: "st_3", ceremony_token: "pkf_1", credential: { id: "AAAA" }, name: "Phone" };
  assert.deepEqual(bodies(service, PASSKEYS).at(-1), sent);
  const { credentials, bearer } = service.log.findLast(({ path }) => path === PASSKEYS);
  assert.deepEqual([credentials, bearer], ["include", undefined]);
});

test("a link and a backup code lead to a passkey, and send no token", async () => {
  const { world, client, service } = await signedOut();
  service.once(RECOVER, () => problem(401, "invalid_code", { challenge: "invalid_grant" }));
  await assert.rejects(world.run(client.recoverAccount({ token: "rst_1", code: "x" })), { code: "invalid_code" });
  assert.equal(status(client), "signed_out");
  service.once(RECOVER, () =>
    json({ status: "mfa_enrolment_required", session_token: "st_4", methods: ["passkey"], expires_in: 900 }),
  );
  const state = await world.run(client.recoverAccount({ token: "rst_1", code: " mzxw6-ytboi\n" }));
  assert.deepEqual([state.status, state.methods], ["mfa_enrolment_required", ["passkey"]]);
  assert.deepEqual(bodies(service, RECOVER).at(-1), { token: "rst_1", code: "mzxw6-ytboi" });
  assert.equal(service.log.at(-1).bearer, undefined);
  service.once(OPTIONS, () => json({ ceremony_token: "pkf_1", publicKey: { challenge: "AAAA" }, expires_in: 300 }));
  await world.run(client.setUpPasskey());
  assert.deepEqual(bodies(service, OPTIONS), [{ session_token: "st_4" }]);
});

test("a link and a backup code set a password, and nobody is signed in by them", async () => {
  const { world, client, service } = await signedOut();
  service.once(RECOVER, () => json({ status: "password_changed" }));
  const newPassword = "marble orchard whispers northward";
  const state = await world.run(client.recoverAccount({ token: "rst_1", code: "mzxw6-ytboi", newPassword }));
  assert.equal(state.status, "signed_out");
  const sent = { token: "rst_1", code: "mzxw6-ytboi", new_password: newPassword };
  assert.deepEqual(bodies(service, RECOVER), [sent]);
});

test("a recovery whose answer is none is a lost one, and changes nothing here", async () => {
  const { world, client, service } = await signedOut();
  service.once(RECOVER, () => json({ status: "something_else" }));
  await assert.rejects(world.run(client.recoverAccount({ token: "rst_1", code: "x" })), NetworkError);
  assert.equal(status(client), "signed_out");
});

test("an enrolment that took too long begins anew, and who signed out meanwhile stays signed out", async () => {
  const { world, client, service } = await enrolling();
  service.once(SETUP, () => problem(401, "invalid_session_token", { challenge: "invalid_grant" }));
  await assert.rejects(world.run(client.setUpFactor()), { code: "invalid_session_token" });
  assert.equal(status(client), "signed_out");
  const other = await enrolling();
  other.service.once(ENABLE, () =>
    json({ backup_codes: [], session: { status: "authenticated", user: ASHA, ...other.service.signIn(ASHA) } }),
  );
  const { enter } = await other.world.run(other.client.enableFactor("123456"));
  await other.world.run(other.client.logout());
  assert.throws(enter, SignedOutError);
  assert.equal(status(other.client), "signed_out");
});

test("one more proof goes with the token, and the answer's token is the one that is used", async () => {
  const { world, client, service } = await signedIn();
  const before = client.accessToken;
  service.once(STEP_UP, () => json({ acr: "aal2", auth_time: 1, ...service.tokens("ses_1") }));
  assert.equal((await world.run(client.stepUp({ code: "123 456" }))).status, "signed_in");
  assert.notEqual(client.accessToken, before);
  const { bearer, credentials, body } = service.log.find(({ path }) => path === STEP_UP);
  assert.deepEqual([bearer, credentials, body], [before, "include", { code: "123456" }]);
});
