// A browser on the web console of a service of its own. Every page that it opens is watched: whatever the policy of the
// pages refuses, whatever the console complains of, and whatever is asked of another host fails the test in the end.
import assert from "node:assert/strict";
import crypto from "node:crypto";
import fs from "node:fs";
import net from "node:net";
import path from "node:path";
import { test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { chromium } from "playwright-core";
import { start } from "./service.js";

const FLAGS =
  "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync";
const AXE = fs.readFileSync(path.join(import.meta.dirname, "node_modules/axe-core/axe.min.js"), "utf8");
const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

/** A password that the service takes. */
export const PASSWORD = "copper lantern drifts upstream";
/** Where pictures of pages go: nothing compares them, somebody looks at them. */
export const PICTURES = path.join(import.meta.dirname, "..", "console-pictures");

/** Returns a port that was free a moment ago. */
async function freePort() {
  const server = net.createServer().listen(0, "127.0.0.1");
  await new Promise((listens) => server.on("listening", listens));
  const { port } = server.address();
  await new Promise((closed) => server.close(closed));
  return port;
}

/** Starts the browser, with further flags. */
export const launch = (...flags) =>
  chromium.launch({ executablePath: process.env.CHROMIUM, args: [...FLAGS.split(" "), ...flags] });

/** Starts the service at an address that its pages are opened by. */
export async function startConsole(variables = {}) {
  const port = await freePort();
  const service = await start(process.env.PORTCULLIS, {
    LISTEN_ADDR: `127.0.0.1:${port}`,
    PUBLIC_URL: `http://localhost:${port}`,
    PROVIDER_CHECK_INTERVAL: "0",
    RATE_LIMIT: "off",
    RUST_LOG: "error",
    ...variables,
  });
  return { ...service, home: `http://localhost:${port}` };
}

/** Variables for pages of administrators where a test is about neither their second factor nor how fresh a proof is. */
export const ONE_FACTOR = {
  ROLE_DEFINITIONS: JSON.stringify(withoutNeeds(path.join(process.env.CLIENT ?? "", "../../edge/verifier/src/default_policy.json"))),
  STEP_UP_MAX_AGE: "86400",
};

/** Returns the policy that ships, in which no role requires a second factor. */
function withoutNeeds(file) {
  const roles = fs.existsSync(file) ? JSON.parse(fs.readFileSync(file, "utf8")) : {};
  return Object.fromEntries(Object.entries(roles).map(([name, { requires, ...role }]) => [name, role]));
}

/** Sends JSON to the service, around any page; returns the parsed response. */
export async function ask(service, method, address, body, token) {
  const headers = { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) };
  const response = await fetch(service.url + address, { method, headers, body: JSON.stringify(body) });
  const text = await response.text();
  assert.ok(response.ok, `${method} ${address}: ${response.status} ${text}`);
  return text && JSON.parse(text);
}

let people = 0;

/** Makes an account; returns its address and an access token. */
export async function person(service, name = "Asha Rao") {
  people += 1;
  const email = `person${people}@example.com`;
  await ask(service, "POST", "/v1/auth/register", { email, name, password: PASSWORD });
  const body = { email, password: PASSWORD, token_delivery: "body" };
  const { access_token: token } = await ask(service, "POST", "/v1/auth/login", body);
  return { email, name, token };
}

/** Returns the link of the newest mail to this address, once it is there. */
export async function mailedLink(service, email) {
  const outbox = path.join(service.data, "outbox");
  for (let tries = 0; tries < 100; tries += 1) {
    const mails = fs.existsSync(outbox) ? fs.readdirSync(outbox).sort().reverse() : [];
    for (const mail of mails) {
      const text = fs.readFileSync(path.join(outbox, mail), "utf8").replace(/=\r?\n/g, "").replaceAll("=3D", "=");
      const link = text.includes(email) && text.match(/http\S+#token=\S+/)?.[0];
      if (link) return link;
    }
    await wait(50);
  }
  throw new Error(`no mail to ${email} with a link`);
}

/** Returns the code of an authenticator app (RFC 6238) for a secret in base32. */
export function totp(secret, at = Date.now()) {
  const bits = [...secret.replace(/[\s=]/g, "")].map((letter) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(letter).toString(2).padStart(5, "0"));
  const key = Buffer.from(bits.join("").match(/.{8}/g).map((byte) => Number.parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(at / 30_000)));
  const mac = crypto.createHmac("sha1", key).update(counter).digest();
  const number = mac.readUInt32BE(mac.at(-1) & 15) & 0x7fffffff;
  return String(number % 1_000_000).padStart(6, "0");
}

/** What the console says of a status that a page has to live with. It is the browser's word, not the page's. */
const LOST = /^Failed to load resource: (the server responded with a status of (401|403|404|409|422|428|429|503)|net::ERR_FAILED)/;

/** Opens a window of a browser that nobody used before. `check` fails with whatever went wrong on its pages, and with what
 * they asked of others than the service and `brokers`. */
export async function openWindow(browser, service, options = {}) {
  const { language, brokers = "data:", ...context } = options;
  const window = await browser.newContext({ locale: "en-GB", ...context });
  const faults = [];
  await window.exposeBinding("reportViolation", (_, violation) => faults.push(`policy: ${violation}`));
  await window.addInitScript((chosen) => {
    addEventListener("securitypolicyviolation", (event) =>
      globalThis.reportViolation(`${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`),
    );
    if (chosen && origin !== "null") localStorage.setItem("language", chosen);
  }, language);
  window.on("page", (page) => {
    page.on("console", (message) => {
      if (message.type() === "error" && !LOST.test(message.text())) faults.push(`console: ${message.text()}`);
    });
    page.on("pageerror", (error) => faults.push(`page: ${error.stack}`));
    page.on("request", (request) => {
      const url = request.url();
      if (![service.home, brokers, "data:"].some((known) => url.startsWith(known))) faults.push(`elsewhere: ${url}`);
    });
  });
  const page = await window.newPage();
  const check = () => assert.deepEqual(faults, []);
  return { window, page, check, close: () => window.close() };
}

/** Signs in on the page. */
export async function signIn(page, service, { email, password = PASSWORD }) {
  await page.goto(`${service.home}/login`);
  await page.fill("[name=username]", email);
  await page.fill("[name=password]", password);
  await page.keyboard.press("Enter");
}

/** Waits until the page is shown and nothing of it is loading. */
export async function settled(page) {
  await page.locator("h1").waitFor();
  await page.waitForFunction(() => !document.querySelector(".skeleton, [aria-busy=true]") && document.querySelector("h1").textContent);
  await still(page);
}

/** Waits until nothing fades in any more; what goes on for ever is not waited for. */
async function still(page) {
  await page.waitForFunction(() =>
    document.getAnimations().every((animation) => animation.playState !== "running" || animation.effect.getComputedTiming().iterations === Infinity),
  );
}

/** The debugger of each page that axe looked at. One that is detached takes the virtual authenticators of its page with it. */
const debuggers = new WeakMap();

/** What axe finds wrong on the page. It is injected by the debugger, which the policy of the page does not bind. */
export async function axe(page) {
  // A button that is half shown has half its contrast.
  await still(page);
  if (!debuggers.has(page)) debuggers.set(page, await page.context().newCDPSession(page));
  const session = debuggers.get(page);
  await session.send("Runtime.evaluate", { expression: AXE });
  const run = `axe.run(document, { runOnly: ${JSON.stringify(TAGS)} }).then((found) => JSON.stringify({
    engine: found.testEngine, passes: found.passes.length,
    violations: found.violations.map(({ id, nodes }) => id + ": " + nodes.map((node) => node.html + " " + node.failureSummary).join(" | ")),
  }))`;
  const { result, exceptionDetails } = await session.send("Runtime.evaluate", { expression: run, awaitPromise: true, returnByValue: true });
  assert.equal(exceptionDetails, undefined, "axe ran");
  const found = JSON.parse(result.value);
  assert.equal(found.engine.name, "axe-core");
  assert.ok(found.passes > 10, `axe looked at the page: ${found.passes} rules passed`);
  return found.violations;
}

/**
 * Returns what tells stories: each runs in a window of its own, which `open` opens, and fails with whatever its pages
 * complained of; a picture of the page is left then.
 */
export function storyteller(open) {
  return (name, run, options) =>
    test(name, async () => {
      const opened = await open(options);
      try {
        await run(opened);
        opened.check();
      } catch (error) {
        await picture(opened.page, `failed-${name.replaceAll(/\W+/g, "-").slice(0, 60)}`);
        throw error;
      } finally {
        await opened.close();
      }
    });
}

export const button = (page, name) => page.getByRole("button", { name, exact: true });
export const heading = (page, name) => page.getByRole("heading", { level: 1, name });
export const dialog = (page) => page.locator("dialog");

/** How far the page can be scrolled sideways, and what sticks out. */
export function overflow(page) {
  return page.evaluate(() => {
    const { scrollWidth } = document.documentElement;
    if (scrollWidth <= innerWidth) return [];
    const sticksOut = (element) => {
      const box = element.getBoundingClientRect();
      return box.width > 0 && (box.right > innerWidth + 1 || box.left < -1) && !element.closest(".visually-hidden");
    };
    return [`${scrollWidth} > ${innerWidth}`, ...[...document.querySelectorAll("body *")].filter(sticksOut).map((element) => element.outerHTML.slice(0, 160))];
  });
}

/** Lets the next request of this kind be refused as one whose proof is too old. */
export async function refuseOnce(page, pattern) {
  await page.route(
    pattern,
    (route) =>
      route.fulfill({
        status: 401,
        contentType: "application/problem+json",
        headers: { "www-authenticate": 'Bearer error="insufficient_user_authentication", max_age="600"' },
        body: JSON.stringify({ status: 401, code: "insufficient_user_authentication", title: "-", detail: "-" }),
      }),
    { times: 1 },
  );
}

/** Everything the browser keeps or shows of this site, as one text: storage, address, history, caches, the document. */
export async function kept(page, { withDocument = true } = {}) {
  return page.evaluate(async (isWhole) => {
    const stores = [localStorage, sessionStorage].map((store) => JSON.stringify({ ...store }));
    const caches_ = await caches.keys();
    const databases = (await indexedDB.databases()).map(({ name }) => name);
    // The browser names the navigation itself by the address that was opened, for this page alone.
    const entries = performance.getEntries().filter(({ entryType }) => entryType !== "navigation").map((entry) => entry.name);
    const whole = isWhole ? document.documentElement.outerHTML : "";
    return [...stores, ...caches_, ...databases, document.cookie, location.href, JSON.stringify(history.state), ...entries, whole].join("\n");
  }, withDocument);
}

/** Keeps a picture of the page. */
export async function picture(page, name) {
  fs.mkdirSync(PICTURES, { recursive: true });
  await page.screenshot({ path: path.join(PICTURES, `${name}.png`), fullPage: true });
}
