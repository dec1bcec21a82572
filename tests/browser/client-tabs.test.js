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

/** How often the pages of a setting were given a token by a refresh; its address names the setting. */
const refreshes = new Map();
let scene;

const addressOf = (request) => new URL(request.headers.referer ?? "http://localhost/");

/** Two requests of five are held, as by functions that start cold. */
function oneWay(request) {
  const jitter = Number(addressOf(request).searchParams.get("jitter") ?? 0);
  return Math.random() < 0.4 ? Math.random() * jitter : 0;
}

function back(request, status) {
  const setting = addressOf(request).search;
  if (request.url === "/v1/auth/refresh" && status === 200) refreshes.set(setting, (refreshes.get(setting) ?? 0) + 1);
  return oneWay(request);
}

before(async () => {
  scene = await stage({ there: oneWay, back });
});
after(() => scene?.stop());

/** In a page: the outcome of some work. A machine with much to do may answer 503, which signs nobody out. */
async function outcome(work) {
  for (let tries = 0; ; tries++) {
    const error = await work().then(
      () => undefined,
      (error) => error,
    );
    if (!error) return "signed_in";
    if (tries === 100 || (error.status !== 503 && error.name !== "NetworkError")) return `${error.name} ${error.code}`;
    await new Promise((done) => setTimeout(done, 100));
  }
}

/** In a page: a sign-in of which no client knows, so that the first refresh rotates. */
async function signIn(body) {
  const headers = { "content-type": "application/json" };
  const response = await fetch("/v1/auth/login", { method: "POST", headers, body: JSON.stringify(body) });
  await response.text();
  if (!response.ok) throw Object.assign(new Error("sign-in"), { status: response.status });
}

/** A sign-in, then every tab at once; returns what went wrong, and how many refreshes it took. */
async function round(tabs, { identifier: email, password }, search) {
  const [first] = tabs;
  const script = (work, argument) => `(${outcome})(() => (${work})(${JSON.stringify(argument ?? null)}))`;
  assert.equal(await first.evaluate(script(signIn, { email, password })), "signed_in");
  const before = refreshes.get(search) ?? 0;
  const restored = await Promise.all(tabs.map((tab) => tab.evaluate(restart)));
  const works = await Promise.all(tabs.map((tab) => tab.evaluate(script(() => client.get("/v1/users/me")))));
  const asked = (refreshes.get(search) ?? 0) - before;
  // Whoever was signed out at the end of it finds out here.
  const last = await first.evaluate(script(() => client.refreshToken()));
  return { failures: [...restored, ...works, last].filter((each) => each !== "signed_in"), asked };
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
      const counts = [];
      for (let number = 0; number < ROUNDS; number++) {
        const { failures, asked } = await round(tabs, credentials, search);
        if (failures.length > 0) signedOut.push({ round: number, failures: [...new Set(failures)] });
        counts.push(asked);
      }
      await context.close();
      const most = Math.max(...counts);
      console.log(`${name}: signed out in ${signedOut.length} of ${ROUNDS} rounds, at most ${most} refreshes in one`);
      assert.deepEqual(signedOut, []);
      assert.deepEqual(complaints, []);
      if (locks) assert.equal(most, 1, `refreshes of each round: ${counts}`);
    });
  }
});
