// The bindings of React: what is drawn in each state, what StrictMode changes (nothing), and how often it is drawn.
import assert from "node:assert/strict";
import { test } from "node:test";
import { act, show } from "./page.js";
import { createElement as h, StrictMode, useState } from "react";
import { renderToString } from "react-dom/server";
import { AuthProvider, ProtectedRoute, useAuth } from "../dist/react/index.js";
import { ASHA, MINUTE, problem, RAVI, World } from "./world.js";

const REFRESH = "/v1/auth/refresh";
const pass = (world, milliseconds = 200) => act(() => world.pass(milliseconds));

function newWorld(person) {
  const world = new World();
  if (person) world.service.signIn(person);
  return { world, client: world.open(), service: world.service };
}

const Name = () => h("b", null, useAuth().user?.name ?? "nobody");
const guarded = (client, props, providerProps) =>
  h(
    AuthProvider,
    { client, ...providerProps },
    h(ProtectedRoute, { restoring: "one moment", fallback: "sign in", ...props }, h(Name)),
  );

test("a protected page shows neither itself nor the sign-in before it is known who is there", async () => {
  const { world, client } = newWorld(ASHA);
  const redirects = [];
  const page = await show(guarded(client, { onSignedOut: (state) => redirects.push(state.status) }));
  assert.equal(page.text(), "one moment");
  await pass(world);
  assert.equal(page.text(), "Asha Rao");
  assert.deepEqual(redirects, []);
});

test("with nobody signed in it shows the sign-in, and says so once", async () => {
  const { world, client } = newWorld();
  const redirects = [];
  const onSignedOut = (state) => redirects.push(state.status);
  const page = await show(guarded(client, { onSignedOut }));
  await pass(world);
  assert.equal(page.text(), "sign in");
  await page.again(guarded(client, { onSignedOut: (state) => onSignedOut(state) }));
  assert.deepEqual(redirects, ["signed_out"]);
});

test("StrictMode makes one refresh as well", async () => {
  const { world, client, service } = newWorld(ASHA);
  const page = await show(h(StrictMode, null, guarded(client)));
  await pass(world);
  assert.equal(page.text(), "Asha Rao");
  assert.equal(service.count(REFRESH), 1);
  await pass(world, 13 * MINUTE);
  assert.equal(service.count(REFRESH), 2);
});

test("a provider that is removed and shown again keeps the session", async () => {
  const { world, client, service } = newWorld(ASHA);
  const first = await show(guarded(client));
  await pass(world);
  await first.close();
  const second = await show(guarded(client));
  assert.equal(second.text(), "Asha Rao");
  assert.equal(service.count(REFRESH), 1);
});

test("whoever signs in and out with the hook sees it on the page", async () => {
  const { world, client, service } = newWorld();
  let auth;
  const Form = () => ((auth = useAuth()), h("i", null, auth.status));
  const page = await show(h(AuthProvider, { client }, h(Form)));
  await pass(world);
  service.once("/v1/auth/login", () =>
    Response.json({ status: "mfa_required", session_token: "st", methods: ["totp"], expires_in: 300 }),
  );
  service.once("/v1/auth/mfa/verify", () =>
    Response.json({ status: "authenticated", user: ASHA, ...service.signIn(ASHA) }),
  );
  const seen = [page.text()];
  for (const step of [
    () => auth.login({ identifier: ASHA.email, password: "x" }),
    () => auth.verifyMfa("123 456"),
    () => auth.logout(),
  ]) {
    await act(() => world.run(step()));
    seen.push(page.text());
  }
  assert.deepEqual(seen, ["signed_out", "mfa_required", "signed_in", "signed_out"]);
});

test("a page is drawn again when something changed, and not when a tab is seen again", async () => {
  const { world, client } = newWorld(ASHA);
  let drawn = 0;
  const Counted = () => (drawn++, h("i", null, useAuth().accessToken));
  await show(h(AuthProvider, { client }, h(Counted)));
  await pass(world);
  const before = drawn;
  client.tab.wake();
  await pass(world, MINUTE);
  assert.equal(drawn, before);
  await act(() => world.run(client.refreshToken()));
  assert.equal(drawn, before + 1);
});

test("the functions of the hook stay the same, so that effects do not run again", async () => {
  const { world, client } = newWorld(ASHA);
  const seen = new Set();
  const Collect = () => {
    const { login, logout, refreshToken, verifyMfa } = useAuth();
    for (const action of [login, logout, refreshToken, verifyMfa]) seen.add(action);
    return null;
  };
  await show(h(AuthProvider, { client }, h(Collect)));
  await pass(world, 13 * MINUTE);
  assert.equal(seen.size, 4);
});

test("what one person typed is gone when another signs in, and kept for the same one", async () => {
  const { world, client } = newWorld(ASHA);
  const users = [];
  let type;
  const Draft = () => {
    const [text, setText] = useState("");
    type = setText;
    return h("i", null, text);
  };
  const tree = h(AuthProvider, { client, onUserChange: (user) => users.push(user?.name) }, h(Draft));
  const page = await show(tree);
  await pass(world);
  await act(() => type("buy 100"));
  await act(() => world.run(client.logout()));
  await act(() => world.run(client.login({ identifier: ASHA.email, password: "x" })));
  assert.equal(page.text(), "buy 100");
  await act(() => world.run(client.login({ identifier: RAVI.email, password: "x" })));
  assert.equal(page.text(), "");
  assert.deepEqual(users, ["Asha Rao", undefined, "Asha Rao", "Ravi Menon"]);
});

test("a role that is missing is told apart from a sign-in that is", async () => {
  for (const [person, shown] of [
    [ASHA, "not for you"],
    [RAVI, "Ravi Menon"],
  ]) {
    const { world, client } = newWorld(person);
    const page = await show(guarded(client, { roles: ["admin"], forbidden: "not for you" }));
    await pass(world);
    assert.equal(page.text(), shown);
  }
});

test("a session that ends while the page is open shows the sign-in", async () => {
  const { world, client, service } = newWorld(ASHA);
  const reasons = [];
  const page = await show(guarded(client, { onSignedOut: (state) => reasons.push(state.reason) }));
  await pass(world);
  service.once(REFRESH, () => problem(401, "session_revoked"));
  await pass(world, 14 * MINUTE);
  assert.equal(page.text(), "sign in");
  assert.deepEqual(reasons, ["session_ended"]);
});

test("a server that renders shows that it is not known yet, and asks nothing", () => {
  const { client, service } = newWorld(ASHA);
  assert.equal(renderToString(guarded(client)), "one moment");
  assert.equal(service.log.length, 0);
});

test("a client that is made and never used leaves nothing behind", () => {
  const { world } = newWorld(ASHA);
  assert.deepEqual([world.timers.size, world.channels.length, world.service.log.length], [0, 0, 0]);
});

test("the hook without a provider says what is missing", async () => {
  const silent = { onUncaughtError: () => {} };
  await assert.rejects(show(h(Name), silent), /AuthProvider/);
});
