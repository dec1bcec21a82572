// What happens to a session in a day of a real browser: the laptop sleeps, its clock is wrong, the network goes, responses are
// lost, another tab signs out, a lock is never given back.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { PASSWORD, profile, restart, stage } from "./client-page.js";

const REFRESH = "/v1/auth/refresh";
const HOUR = 3_600_000;

let scene;
let requests = [];
/** Requests to the refresh wait for this; tests set it. */
let gate = Promise.resolve(0);
let isLost = () => false;

before(async () => {
  scene = await stage({
    there: (request) => (requests.push(request.url), 0),
    back: (request) => (request.url === REFRESH ? gate : 0),
    isLost: (request) => isLost(request),
  });
});
after(() => scene?.stop());

const refreshes = () => requests.filter((url) => url === REFRESH).length;
const status = (tab) => tab.evaluate(() => client.getSnapshot().status);
const becomes = (tab, wanted, options = {}) =>
  tab.waitForFunction((wanted) => client.getSnapshot().status === wanted, wanted, {
    polling: 50,
    timeout: 15_000,
    ...options,
  });

/** A signed-in person with so many tabs. */
async function person(name, count = 1, prepare = async () => {}) {
  const { context, open, register, credentials, complaints } = await profile(scene, name);
  await prepare(context);
  const tabs = [];
  for (let number = 0; number < count; number++) tabs.push(await open());
  await register(tabs[0]);
  for (const tab of tabs) await tab.evaluate(restart);
  await tabs[0].evaluate((credentials) => client.login(credentials), credentials);
  for (const tab of tabs) await becomes(tab, "signed_in");
  requests = [];
  return { context, open, tabs, tab: tabs[0], credentials, complaints };
}

/** Waits for what happens in this process; a page waits with `becomes`. */
async function until(condition) {
  for (let tries = 0; !condition(); tries++) {
    assert.ok(tries < 300, String(condition));
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const CLOCK = async (context) => context.clock.install();

test("three tabs wake after 12 hours and refresh once", async () => {
  const { context, tabs, tab, complaints } = await person("wake", 3, CLOCK);
  await context.clock.fastForward(12 * HOUR);
  await until(() => refreshes() > 0);
  await tab.evaluate(() => client.get("/v1/users/me"));
  await context.clock.runFor(10_000);
  for (const each of tabs) assert.equal(await status(each), "signed_in");
  assert.equal(refreshes(), 1);
  assert.equal(new Set(await Promise.all(tabs.map((each) => each.evaluate(() => client.accessToken)))).size, 1);
  assert.deepEqual(complaints, []);
  await context.close();
});

test("a monotonic clock that stood still for 12 hours does not hide them", async () => {
  const { context, tab } = await person("still", 1, CLOCK);
  await context.clock.setSystemTime(Date.now() + 12 * HOUR);
  await tab.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
  await until(() => refreshes() === 1);
  assert.equal(await status(tab), "signed_in");
  await context.close();
});

for (const hours of [-1, 1]) {
  test(`a clock that is wrong by ${hours} h changes nothing`, async () => {
    const wrong = async (context) => context.clock.install({ time: Date.now() + hours * HOUR });
    const { context, open, tab } = await person(`clock ${hours}`, 1, wrong);
    await tab.evaluate(() => client.get("/v1/sessions"));
    await context.clock.runFor(5 * 60_000);
    assert.equal(refreshes(), 0);
    const second = await open();
    assert.equal(await second.evaluate(restart), "signed_in");
    await context.close();
  });
}

test("offline at wake, then online: the session goes on", async () => {
  const { context, tab } = await person("offline", 1, CLOCK);
  await context.setOffline(true);
  await context.clock.fastForward(12 * HOUR);
  await tab.waitForFunction(() => client.getSnapshot().trouble?.name === "NetworkError", undefined, { polling: 50 });
  assert.equal(await status(tab), "signed_in");
  await context.setOffline(false);
  await until(() => refreshes() > 0);
  await tab.waitForFunction(() => client.getSnapshot().trouble === null, undefined, { polling: 50 });
  assert.equal(await status(tab), "signed_in");
  await context.close();
});

test("a sign-out during a refresh lasts, also in the other tab and after a load", async () => {
  const {
    context,
    tabs: [first, second],
  } = await person("sign-out", 2);
  let release;
  gate = new Promise((resolve) => (release = () => resolve(0)));
  await second.evaluate(() => void client.refreshToken().catch(() => {}));
  await until(() => refreshes() === 1);
  await first.evaluate(() => client.logout());
  await becomes(second, "signed_out", { timeout: 1_000 });
  release();
  gate = Promise.resolve(0);
  await second.evaluate(() => new Promise((resolve) => setTimeout(resolve, 200)));
  for (const tab of [first, second]) {
    assert.equal(await status(tab), "signed_out");
    await tab.reload();
    assert.equal(await tab.evaluate(restart), "signed_out");
  }
  await context.close();
});

test("a response that was lost after the service rotated costs nobody the session", async () => {
  const { context, tab } = await person("lost");
  let lost = 0;
  // A browser sends what it lost on a connection that had been used before once more by itself.
  isLost = ({ url }) => url === REFRESH && lost++ < 2;
  assert.equal(await tab.evaluate(() => client.refreshToken().catch(({ name }) => name)), "NetworkError");
  await until(() => refreshes() === 3);
  await tab.waitForFunction(() => client.getSnapshot().trouble === null, undefined, { polling: 50 });
  isLost = () => false;
  await tab.reload();
  assert.equal(await tab.evaluate(restart), "signed_in");
  await context.close();
});

test("a lock whose holder never returns costs a lone tab five seconds, and one beside others nothing", async () => {
  const { context, open, tab } = await person("lock");
  await tab.evaluate(() => void navigator.locks.request("portcullis-refresh", () => new Promise(() => {})));
  const second = await open();
  await second.evaluate(restart);
  assert.equal(refreshes(), 0);
  await tab.evaluate(() => client.close());
  const began = performance.now();
  await second.evaluate(restart);
  const took = performance.now() - began;
  assert.ok(took > 4_500 && took < 9_000, `${took} ms`);
  assert.equal(await status(second), "signed_in");
  const { held } = await tab.evaluate(() => navigator.locks.query());
  assert.equal(held.length, 1);
  await context.close();
});

test("no token is left where a script of another visit finds it", async () => {
  const { context, tab } = await person("storage");
  const token = await tab.evaluate(() => client.accessToken);
  const stored = await tab.evaluate(async () => [
    { ...localStorage },
    { ...sessionStorage },
    document.cookie,
    location.href,
    history.state,
    await indexedDB.databases(),
    await caches.keys(),
  ]);
  assert.deepEqual(stored, [{}, {}, "", `${scene.origin}/`, null, [], []]);
  assert.ok(token.length > 100);
  const cookies = await context.cookies();
  assert.deepEqual(
    cookies.filter(({ httpOnly, sameSite }) => !httpOnly || sameSite !== "Strict"),
    [],
  );
  await context.close();
});

test("the page of the README signs in with a code, survives a load, and signs out", async () => {
  const { context, open, tab, credentials, complaints } = await person("readme");
  const { secret } = await tab.evaluate(() => client.post("/v1/mfa/totp/setup", { body: {} }));
  const {
    backup_codes: [code],
  } = await tab.evaluate((code) => client.post("/v1/mfa/totp/enable", { body: { code } }), await totp(secret));
  await tab.evaluate(() => client.logout());
  await tab.close();
  const page = await open("/example");
  await page.fill("[name=name]", credentials.identifier);
  await page.fill("[name=password]", PASSWORD);
  await page.click("button");
  await page.fill("[name=code]", ` ${code} `);
  await page.click("button");
  await page.getByText("Signed in as Asha Rao").waitFor();
  await page.reload();
  await page.getByText("Signed in as Asha Rao").waitFor();
  await page.click("button");
  await page.locator("[name=password]").waitFor();
  assert.deepEqual(complaints, []);
  await context.close();
});

/** The code of an authenticator app (RFC 6238) for this moment. */
async function totp(secret) {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  const bits = [...secret].map((letter) => alphabet.indexOf(letter).toString(2).padStart(5, "0")).join("");
  const key = Uint8Array.from(bits.match(/.{8}/g), (byte) => Number.parseInt(byte, 2));
  const counter = new DataView(new ArrayBuffer(8));
  counter.setBigUint64(0, BigInt(Math.floor(Date.now() / 30_000)));
  const imported = await crypto.subtle.importKey("raw", key, { name: "HMAC", hash: "SHA-1" }, false, ["sign"]);
  const digest = new DataView(await crypto.subtle.sign("HMAC", imported, counter));
  const number = digest.getUint32(digest.getUint8(19) & 15) & 0x7fffffff;
  return String(number % 1_000_000).padStart(6, "0");
}
