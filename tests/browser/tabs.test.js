// Several tabs of one browser, each with several calls at once, whose client refreshes on every 401: nobody is signed out.
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { chromium } from "playwright-core";
import { network } from "./network.js";
import { start } from "./service.js";

const ROUNDS = Number(process.env.ROUNDS ?? 4);
const PASSWORD = "copper lantern drifts upstream";
const FLAGS =
  "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync";
/** How many settings are tried side by side, each with a cookie jar of its own. */
const SIDE_BY_SIDE = Number(process.env.SIDE_BY_SIDE ?? 4);
const SETTINGS = [1, 2, 3, 6].flatMap((tabs) => [1, 4, 12].map((calls) => ({ tabs, calls })));

let service, way, browser;

before(async () => {
  // A request and its response take 20 to 300 ms together, mostly little, so that much is overtaken.
  const oneWay = () => 10 + 140 * Math.random() ** 3;
  const files = { "/": fs.readFileSync(path.join(import.meta.dirname, "client.html")) };
  way = await network(() => service.url, { files, there: oneWay, back: oneWay });
  const origin = `http://localhost:${way.port}`;
  service = await start(process.env.PORTCULLIS, {
    PUBLIC_URL: origin,
    ALLOWED_ORIGINS: origin,
    ARGON2_MEMORY_KIB: "64",
    RATE_LIMIT: "off",
    RUST_LOG: "error",
  });
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: FLAGS.split(" ") });
});

after(async () => {
  await browser?.close();
  way?.close();
  service?.stop();
});

/** A sign-in, then every tab at once; returns what went wrong. The first refresh is a rotation: it comes with the first 401. */
async function round(pages, credentials, calls) {
  const [first] = pages;
  const signedIn = await first.evaluate((body) => post("/v1/auth/login", body), credentials);
  assert.equal(signedIn.status, 200);
  const failures = await Promise.all(pages.map((page) => page.evaluate((count) => burst(count), calls)));
  // Whoever was signed out at the end of it finds out here.
  return [...failures, await first.evaluate(() => burst(1))].flat();
}

async function tabs(count) {
  const context = await browser.newContext();
  const pages = await Promise.all(Array.from({ length: count }, () => context.newPage()));
  for (const page of pages) await page.goto(`http://localhost:${way.port}/`);
  return { context, pages };
}

describe(`${ROUNDS} rounds of each setting, 20 to 300 ms of jitter`, { concurrency: SIDE_BY_SIDE }, () => {
  for (const { tabs: count, calls } of SETTINGS) {
    test(`${count} tabs with ${calls} calls each`, async () => {
      const { context, pages } = await tabs(count);
      const credentials = { email: `tabs${count}.calls${calls}@example.com`, password: PASSWORD };
      await pages[0].evaluate((body) => post("/v1/auth/register", body), { ...credentials, name: "Asha Rao" });
      const signedOut = [];
      for (let number = 0; number < ROUNDS; number++) {
        const failures = await round(pages, credentials, calls);
        if (failures.length > 0) signedOut.push({ round: number, failures: [...new Set(failures)] });
      }
      await context.close();
      console.log(`${count} tabs, ${calls} calls: signed out in ${signedOut.length} of ${ROUNDS} rounds`);
      assert.deepEqual(signedOut, []);
    });
  }
});
