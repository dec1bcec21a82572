// Many tabs that start at once, round after round, each with another order of what happens: nobody is signed out, and where
// the browser has locks one of them refreshes for all. A real browser does the same in tests/browser, more slowly.
import assert from "node:assert/strict";
import { test } from "node:test";
import { JitteryWorld } from "./jitter.js";
import { ASHA, HOUR } from "./world.js";

/** `ROUNDS=1000` takes some minutes; every round has a seed of its own. */
const ROUNDS = Number(process.env.ROUNDS ?? 20);
const SETTINGS = [true, false].flatMap((locks) =>
  [0, 100, 800].flatMap((jitter) => [1, 2, 3, 6, 8].map((tabs) => ({ locks, jitter, tabs }))),
);

/** Long enough for the slowest round, and for no timer of a tab that is at rest. */
const ENOUGH = 12_000;

/** All tabs start at about the same time, and after twelve hours of sleep they wake at about the same time. */
async function round(seed, { locks, jitter, tabs }, options) {
  const world = new JitteryWorld(seed, { jitter, ...options });
  const clients = Array.from({ length: tabs }, () => world.open({ locks }));
  for (const client of clients) world.soon(() => client.start());
  await world.pass(ENOUGH);
  const started = world.service.refreshes;
  world.sleep(12 * HOUR);
  for (const client of clients) world.soon(() => client.tab.wake());
  await world.pass(ENOUGH);
  const woken = world.service.refreshes - started;
  const users = clients.map((client) => client.user?.user_id);
  for (const client of clients) client.close();
  return { isSignedIn: users.every((user) => user === ASHA.user_id), started, woken, ends: world.service.ends };
}

test(`${ROUNDS} rounds of each setting sign nobody out`, async () => {
  for (const setting of SETTINGS) {
    for (let seed = 0; seed < ROUNDS; seed++) {
      const { isSignedIn, started, woken, ends } = await round(seed, setting);
      assert.ok(isSignedIn && ends.length === 0, `${JSON.stringify(setting)}, seed ${seed}`);
      if (setting.locks) assert.deepEqual([started, woken], [1, 1], `${JSON.stringify(setting)}, seed ${seed}`);
    }
  }
});

test("a service that rotates again within the grace is found out", async () => {
  let signedOut = 0;
  for (let seed = 0; seed < 100; seed++) {
    const { isSignedIn } = await round(seed, { locks: false, jitter: 800, tabs: 8 }, { isPatient: false });
    if (!isSignedIn) signedOut += 1;
  }
  assert.ok(signedOut > 0);
});
