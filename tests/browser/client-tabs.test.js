// Tabs with the client of the package, loaded all at once behind a network with jitter: nobody is signed out, and where the
// browser has Web Locks one of them refreshes for all.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { profile, restart, stage } from "./client-page.js";

const ROUNDS = Number(process.env.ROUNDS ?? 2);
const SIDE_BY_SIDE = Number(process.env.SIDE_BY_SIDE ?? 3);
const SETTINGS = [true, false].flatMap((locks) =>
  [0, 100, 800].flatMap((jitter) => [1, 2, 3, 6, 8].map((tabs) => ({ locks, jitter, tabs }))),
);

/** What the pages of a setting have sent to the refresh, by their profile's cookie-independent name in the address. */
const refreshes = new Map();
let scene;

/** Two requests of five are held, as by functions that start cold. */
function oneWay(request) {
  const jitter = Number(new URL(request.headers.referer ?? "http://localhost/").searchParams.get("jitter") ?? 0);
  return Math.random() < 0.4 ? Math.random() * jitter : 0;
}

function there(request) {
  const setting = new URL(request.headers.referer ?? "http://localhost/").search;
  if (request.url === "/v1/auth/refresh") refreshes.set(setting, (refreshes.get(setting) ?? 0) + 1);
  return oneWay(request);
}

before(async () => {
  scene = await stage({ there, back: oneWay });
});
after(() => scene?.stop());

/** A sign-in of which no client knows, so that the first refresh rotates; then every tab at once. Returns what went wrong. */
async function round(tabs, credentials) {
  const body = { email: credentials.identifier, password: credentials.password };
  await tabs[0].evaluate(async (body) => {
    const response = await fetch("/v1/auth/login", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    await response.text();
  }, body);
  const restored = await Promise.all(tabs.map((tab) => tab.evaluate(restart)));
  const works = await Promise.all(
    tabs.map((tab) => tab.evaluate(() => client.get("/v1/users/me").then(() => "signed_in", String))),
  );
  // Whoever was signed out at the end of it finds out here.
  const last = await tabs[0].evaluate(() => client.refreshToken().then(() => "signed_in", String));
  return [...restored, ...works, last].filter((outcome) => outcome !== "signed_in");
}

describe(`${ROUNDS} rounds of each setting`, { concurrency: SIDE_BY_SIDE }, () => {
  for (const { locks, jitter, tabs: count } of SETTINGS) {
    const name = `${count} tabs, up to ${jitter} ms, ${locks ? "with" : "without"} locks`;
    test(name, async () => {
      const { context, open, register, credentials, complaints } = await profile(scene, name, { locks });
      const search = `?setting=${encodeURIComponent(name)}&jitter=${jitter}`;
      const tabs = await Promise.all(Array.from({ length: count }, () => open(`/${search}`)));
      await register(tabs[0]);
      const signedOut = [];
      const asked = [];
      for (let number = 0; number < ROUNDS; number++) {
        const before = refreshes.get(search) ?? 0;
        const failures = await round(tabs, credentials);
        if (failures.length > 0) signedOut.push({ round: number, failures: [...new Set(failures)] });
        // The last refresh of the round was asked for.
        asked.push((refreshes.get(search) ?? 0) - before - 1);
      }
      await context.close();
      const most = Math.max(...asked);
      console.log(`${name}: signed out in ${signedOut.length} of ${ROUNDS} rounds, at most ${most} refreshes in one`);
      assert.deepEqual(signedOut, []);
      assert.deepEqual(complaints, []);
      if (locks) assert.equal(most, 1, `refreshes of each round: ${asked}`);
    });
  }
});
