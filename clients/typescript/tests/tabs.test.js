// Tabs of one browser: one refresh, one session, one sign-out; and nothing that waits for a tab that does not come back.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ASHA, HOUR, LIFETIME, MINUTE, problem, RAVI, settle, signedIn, World } from "./world.js";

const REFRESH = "/v1/auth/refresh";
const status = (client) => client.getSnapshot().status;
const statuses = (clients) => [...new Set(clients.map(status))];

/** So many tabs that are opened at once, as a browser does that continues where it was left. */
async function openAll(count, options = {}) {
  const world = new World();
  world.latency = 20;
  world.service.signIn(ASHA);
  const clients = Array.from({ length: count }, () => world.open(options));
  for (const client of clients) client.start();
  await world.pass(2_000);
  return { world, clients, service: world.service };
}

test("eight tabs that are opened at once make one refresh and read the profile once, where locks exist", async () => {
  const { clients, service } = await openAll(8);
  assert.deepEqual(statuses(clients), ["signed_in"]);
  assert.equal(new Set(clients.map((client) => client.accessToken)).size, 1);
  assert.equal(service.count(REFRESH), 1);
  assert.equal(service.count("/v1/users/me"), 1);
});

test("without locks all of them are signed in as well", async () => {
  const { clients, service } = await openAll(8, { locks: false });
  assert.deepEqual(statuses(clients), ["signed_in"]);
  assert.ok(service.count(REFRESH) <= 8);
});

test("without locks and channels all of them are signed in as well", async () => {
  const { clients, service } = await openAll(8, { locks: false, channel: false });
  assert.deepEqual(statuses(clients), ["signed_in"]);
  assert.equal(service.count(REFRESH), 8);
});

test("eight tabs that wake after 12 hours make one refresh", async () => {
  const { world, clients, service } = await openAll(8);
  world.sleep(12 * HOUR);
  for (const client of clients) client.tab.wake();
  await world.pass(2_000);
  assert.equal(service.count(REFRESH), 2);
  assert.equal(new Set(clients.map((client) => client.accessToken)).size, 1);
});

test("a tab that is opened beside others takes their token and sends nothing", async () => {
  const { world, service } = await openAll(1);
  const sent = service.log.length;
  await world.pass(5 * MINUTE);
  const second = world.open();
  second.start();
  await world.pass(100);
  assert.equal(status(second), "signed_in");
  assert.equal(service.log.length, sent);
  // Its age came along: it is refreshed when it would have been in the first tab.
  await world.pass(LIFETIME * 1000 * 0.8 - 5 * MINUTE);
  assert.equal(service.count(REFRESH), 2);
});

test("a lock whose holder never returns costs five seconds, and is not taken from it", async () => {
  const world = new World();
  world.service.signIn(ASHA);
  world.lock("portcullis-refresh", { signal: new AbortController().signal }, () => new Promise(() => {}));
  await settle();
  const { holder } = world;
  const client = world.open();
  client.start();
  await world.pass(4_900);
  assert.equal(status(client), "restoring");
  await world.pass(300);
  assert.equal(status(client), "signed_in");
  assert.equal(world.holder, holder);
  assert.equal(world.queue.length, 0);
});

test("locks that the browser refuses are done without", async () => {
  const world = new World();
  world.service.signIn(ASHA);
  world.lock = () => Promise.reject(new DOMException("no locks in this frame", "SecurityError"));
  const client = world.open();
  client.start();
  await world.pass(200);
  assert.equal(status(client), "signed_in");
});

test("beside a tab with a token, a lock that is never had costs nothing", async () => {
  const { world, service } = await openAll(1);
  world.lock("portcullis-refresh", { signal: new AbortController().signal }, () => new Promise(() => {}));
  const second = world.open();
  second.start();
  await world.pass(50);
  assert.equal(status(second), "signed_in");
  assert.equal(service.count(REFRESH), 1);
  assert.equal(world.queue.length, 0);
});

test("a token that another tab gets meanwhile ends the wait for the lock", async () => {
  const world = new World();
  world.service.signIn(ASHA);
  world.lock("portcullis-refresh", { signal: new AbortController().signal }, () => new Promise(() => {}));
  const [first, second] = [world.open({ locks: false }), world.open()];
  second.start();
  await world.pass(1_000);
  assert.equal(status(second), "restoring");
  first.start();
  await world.pass(100);
  assert.equal(status(second), "signed_in");
  assert.equal(world.service.count(REFRESH), 1);
});

test("whoever has the lock next asks before it refreshes: the message may come after the lock", async () => {
  const world = new World();
  world.latency = 200;
  world.service.signIn(ASHA);
  const clients = [world.open(), world.open()];
  clients.forEach((client) => client.start());
  await world.pass(100);
  // The second one misses the message of the first.
  const { onmessage } = world.channels[1];
  let missed = 0;
  world.channels[1].onmessage = (event) =>
    event.data.type === "session" && missed++ === 0 ? undefined : onmessage(event);
  await world.pass(900);
  assert.deepEqual(statuses(clients), ["signed_in"]);
  assert.equal(world.service.count(REFRESH), 1);
});

test("a sign-out reaches every tab at once, before the service responds", async () => {
  const { world, clients } = await openAll(3);
  world.latency = 5_000;
  const done = clients[0].logout();
  await settle();
  assert.deepEqual(statuses(clients), ["signed_out"]);
  assert.deepEqual([...new Set(clients.map((client) => client.getSnapshot().reason))], ["logged_out"]);
  assert.deepEqual(await world.run(done, 6_000), { confirmed: true });
});

test("a session that the service ended ends in every tab", async () => {
  const { world, clients, service } = await openAll(3);
  service.once(REFRESH, () => problem(401, "session_revoked"));
  await assert.rejects(world.run(clients[1].refreshToken()));
  assert.deepEqual(statuses(clients), ["signed_out"]);
});

test("a tab that finds no cookie when it is opened ends nobody else's session", async () => {
  const { world, clients, service } = await openAll(2);
  service.once(REFRESH, () => problem(401, "invalid_refresh_token"));
  const third = world.open({ channel: true });
  // It hears nobody: the others are busy.
  clients.forEach((client) => client.tab.wake());
  world.channels[0].onmessage = world.channels[1].onmessage = null;
  third.start();
  await world.pass(500);
  assert.equal(status(third), "signed_out");
  assert.deepEqual(statuses(clients), ["signed_in"]);
});

test("a refresh that was refused for the session before does not end the one that began meanwhile in another tab", async () => {
  const {
    world,
    clients: [first, second],
    service,
  } = await openAll(2);
  service.once(REFRESH, async () => {
    await world.wait(2_000);
    return problem(401, "session_revoked");
  });
  first.refreshToken().catch(() => {});
  await world.pass(500);
  await world.run(second.login({ identifier: RAVI.email, password: "copper lantern" }), 15_000);
  assert.deepEqual([first.user, second.user], [RAVI, RAVI]);
});

test("a refresh that got lost for the session before is no trouble of the one that began meanwhile", async () => {
  const world = new World();
  world.service.signIn(ASHA);
  const [first, second] = [world.open(), world.open({ locks: false })];
  world.service.once(REFRESH, async () => {
    await world.wait(2_000);
    throw new TypeError("connection reset");
  });
  const refreshed = first.refreshToken();
  await world.pass(500);
  await world.run(second.login({ identifier: RAVI.email, password: "copper lantern" }), 15_000);
  assert.equal(await refreshed, second.accessToken);
  assert.deepEqual([first.user, first.getSnapshot().trouble], [RAVI, null]);
});

test("a sign-in in one tab signs the others in, also one that waits for a code", async () => {
  const world = new World();
  const clients = [world.open(), world.open()];
  clients.forEach((client) => client.start());
  await world.pass(200);
  assert.deepEqual(statuses(clients), ["signed_out"]);
  world.service.once("/v1/auth/login", () =>
    Response.json({ status: "mfa_required", session_token: "st_1", methods: ["totp"], expires_in: 300 }),
  );
  await world.run(clients[1].login({ identifier: ASHA.email, password: "copper lantern" }));
  assert.equal(status(clients[1]), "mfa_required");
  await world.run(clients[0].login({ identifier: ASHA.email, password: "copper lantern" }));
  assert.deepEqual(statuses(clients), ["signed_in"]);
  assert.equal(world.service.count("/v1/users/me"), 0);
});

test("another person drops everything of the one before, in every tab", async () => {
  const {
    world,
    clients: [first, second],
  } = await openAll(2);
  const seen = [];
  second.onUserChange((user) => seen.push([user?.user_id, status(second)]));
  await world.run(first.login({ identifier: RAVI.email, password: "copper lantern" }));
  assert.deepEqual(second.user, RAVI);
  // Told before anything is drawn for the next person.
  assert.deepEqual(seen, [[RAVI.user_id, "signed_in"]]);
});

test("a refresh that brings the token of another person reads who that is before it shows anything", async () => {
  const { world, client, service } = await signedIn({ channel: false });
  const seen = [];
  client.subscribe(() => seen.push([status(client), client.user?.user_id]));
  service.signIn(RAVI);
  await world.run(client.refreshToken());
  assert.deepEqual(seen, [
    ["restoring", undefined],
    ["signed_in", RAVI.user_id],
  ]);
});

test("a token that another tab sends after the sign-out does not sign in again", async () => {
  const {
    world,
    clients: [first, second],
  } = await openAll(2);
  const channel = world.channels[0];
  const stale = world.channels.flatMap(({ sent }) => sent).find(({ type }) => type === "session");
  await world.run(first.logout());
  channel.onmessage({ data: { ...stale, sent: world.wall, age: 0 } });
  assert.equal(status(first), "signed_out");
  assert.equal(status(second), "signed_out");
});

test("a message that waited for longer than its token lives is no session", async () => {
  const {
    world,
    clients: [first],
  } = await openAll(1);
  const stale = world.channels[0].sent.findLast(({ type }) => type === "session");
  first.close();
  world.service.always(REFRESH, () => problem(503, "unavailable"));
  const second = world.open();
  world.sleep(12 * HOUR);
  second.start();
  world.channels.at(-1).onmessage({ data: stale });
  await world.pass(500);
  assert.equal(status(second), "restoring");
});

test("an older token of another tab does not replace a younger one", async () => {
  const {
    world,
    clients: [first, second],
  } = await openAll(2);
  await world.pass(MINUTE);
  const older = {
    ...world.channels.flatMap(({ sent }) => sent).find(({ type }) => type === "session"),
    age: 10 * MINUTE,
    sent: world.wall,
  };
  await world.run(second.refreshToken());
  const { accessToken } = first;
  world.channels[0].onmessage({ data: older });
  assert.equal(first.accessToken, accessToken);
});

test("a new token that is asked for is new: that of another tab is taken only if it is fresh", async () => {
  const { world, clients, service } = await openAll(2);
  const [first, second] = clients;
  // The first one does not hear that the second one refreshes, and asks it later.
  const { onmessage } = world.channels[0];
  world.channels[0].onmessage = null;
  await world.run(second.refreshToken());
  world.channels[0].onmessage = onmessage;
  await world.pass(MINUTE);
  const older = second.accessToken;
  assert.notEqual(first.accessToken, older);
  assert.notEqual(await world.run(first.refreshToken()), older);
  assert.equal(service.count(REFRESH), 3);
});

test("what is no message of a tab is passed over", async () => {
  const { world, client } = await signedIn();
  const before = client.getSnapshot();
  const claims = { type: "session", token: "not a JWT", lifetime: 1e6, age: 0, sent: 0 };
  for (const data of [null, 7, "signed_out", {}, { type: "session" }, { type: "session", token: 1 }, claims]) {
    world.channels[0].onmessage({ data });
  }
  assert.equal(client.getSnapshot(), before);
});

test("a page that comes back from the browser's cache learns of a sign-out that it missed", async () => {
  const {
    world,
    clients: [first, second],
  } = await openAll(2);
  const { onmessage } = world.channels[1];
  world.channels[1].onmessage = null;
  await world.run(first.logout());
  assert.equal(status(second), "signed_in");
  world.channels[1].onmessage = onmessage;
  second.tab.wake();
  await settle();
  assert.equal(status(second), "signed_out");
});

test("a changed profile is seen in the other tabs", async () => {
  const {
    world,
    clients: [first, second],
    service,
  } = await openAll(2);
  service.always("/v1/users/me", () => Response.json({ ...ASHA, name: "Asha Rao-Menon" }));
  await world.run(first.reloadUser());
  assert.equal(second.user.name, "Asha Rao-Menon");
});
