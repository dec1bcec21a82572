// What people who trade do on the web console: link an account, log in at the broker and come back, freeze, see who read.
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { after, before, describe } from "node:test";
import { ALPACA, KITE, startBrokers, UPSTOX } from "./brokers.js";
import { ask, axe, button, dialog, heading, kept, launch, openWindow, overflow, PASSWORD, person, picture, settled, signIn, startConsole, storyteller } from "./console.js";

let browser;
let brokers;
let service;

before(async () => {
  browser = await launch();
  brokers = await startBrokers();
  service = await startConsole(brokers.variables);
  await brokers.are({ back: `${service.home}/broker-callback` });
});

after(async () => {
  await browser?.close();
  service?.stop();
  brokers?.stop();
});

const story = storyteller((options) => openWindow(browser, service, { brokers: brokers.url, ...options }));

/** Signs somebody in who was not there before, and opens a page. */
async function enter(page, address, somebody) {
  await signIn(page, service, somebody);
  await page.locator(".frame").waitFor();
  await page.goto(service.home + address);
  await settled(page);
}

/** Links an account by the API; returns its id. */
async function link(somebody, broker, keys, label) {
  const body = { broker, user_id_broker: keys.user, api_key: keys.key, api_secret: keys.secret, label };
  const account = await ask(service, "POST", "/v1/trading-accounts", body, somebody.token);
  await ask(service, "POST", `/v1/trading-accounts/${account.account_id}/verify`, undefined, somebody.token);
  return account.account_id;
}

/** Sends JSON to the service as the ticker service does. */
async function asTicker(address, body, headers = {}) {
  const tokens = JSON.parse(fs.readFileSync(path.join(service.data, "keys", "service-tokens.json"), "utf8"));
  const response = await fetch(`${service.url}/v1/internal/${address}`, {
    method: "POST",
    headers: { "content-type": "application/json", "x-service-token": [tokens.ticker].flat()[0], ...headers },
    body: JSON.stringify(body),
  });
  assert.ok(response.ok, `${response.status} ${await response.text()}`);
}

/** Reads the credentials of an account as the ticker service does. */
const read = (id, purpose, request) =>
  asTicker(`trading-accounts/${id}/credentials`, { purpose }, { "x-request-id": request });

story("a Kite account is linked, logged in at, and has a session; nothing of it stays in the browser", async ({ page }) => {
  await enter(page, "/", await person(service));
  await page.getByText("No trading account is linked yet.").waitFor();
  await page.getByText(/^Your trail is whole since/).waitFor();
  await page.getByRole("link", { name: "Link an account" }).click();
  await button(page, "Link an account").click();
  const brokersOnOffer = dialog(page).locator("[name=broker] option");
  await brokersOnOffer.nth(5).waitFor({ state: "attached" });
  assert.deepEqual(await brokersOnOffer.allTextContents(), ["Alpaca", "Alpaca paper", "Dhan", "Fyers", "Kite", "Upstox"]);
  await dialog(page).locator("[name=broker]").selectOption("kite");
  await page.getByText(`${service.home}/broker-callback`).waitFor();
  await page.getByLabel("User ID at the broker").fill(KITE.user);
  for (const [name, value] of [["API key", KITE.key], ["API secret", KITE.secret]]) {
    const field = dialog(page).getByLabel(name);
    assert.deepEqual(await field.evaluate(({ type, autocomplete }) => [type, autocomplete]), ["password", "off"]);
    await field.fill(value);
  }
  await page.getByLabel("Label").fill("Long term");
  await button(page, "Link account").click();
  await page.getByText("Kite is linked. One step is left.").waitFor();
  assert.ok(!(await kept(page)).includes(KITE.secret), "the form is gone, and the secret with it");

  const asked = [];
  page.on("request", (request) => asked.push(`${request.method()} ${new URL(request.url()).pathname} ${request.postData() ?? ""}`));
  const referrers = [];
  page.on("request", (request) => referrers.push(request.headers().referer ?? ""));
  await dialog(page).getByRole("link", { name: "Log in at Kite" }).click();
  await page.getByText("The session at Kite has begun").waitFor();
  await page.getByText(/It lasts until .*for /).waitFor();
  assert.equal(page.url(), `${service.home}/broker-callback`);
  const [sent, ...again] = asked.filter((line) => line.includes("request_token"));
  assert.match(sent, /^POST \/v1\/trading-accounts\/acc_\w+\/session /);
  assert.deepEqual(again, [], "the token is sent once");
  const token = JSON.parse(sent.slice(sent.indexOf("{"))).request_token;
  assert.ok(referrers.every((referrer) => !referrer.includes(token)));
  const everything = await kept(page);
  const own = everything.split("\n").filter((line) => !line.startsWith(`${service.home}/broker-callback?`));
  assert.ok(![KITE.key, KITE.secret, token].some((secret) => own.join("\n").includes(secret)));

  await page.getByRole("link", { name: "Go to trading accounts" }).click();
  await page.getByText("Session ends in").waitFor();
  await page.locator(".header .session-clock").getByText(/Kite · /).waitFor();
  await page.getByRole("link", { name: "Renew session" }).waitFor();
  for (const [one, other] of [["Stop", "Send"], ["Send", "Stop"]]) {
    await button(page, `${one} mails about the session`).click();
    await dialog(page).getByText("A mail half an hour before the session at Kite ends").waitFor();
    await dialog(page).getByRole("button", { name: `${one} mails about the session` }).click();
    await button(page, `${other} mails about the session`).waitFor();
  }
});

story("a login at the broker that was given up changes nothing and says what to do", async ({ page }) => {
  const asha = await person(service);
  const id = await link(asha, "kite", KITE, "Long term");
  await enter(page, `/broker-callback?status=cancelled&account_id=${id}`, asha);
  await page.getByText("Kite did not complete the login. Nothing was changed.").waitFor();
  await page.getByRole("link", { name: "Log in again" }).waitFor();
  assert.equal(page.url(), `${service.home}/broker-callback`);
  assert.deepEqual(await axe(page), []);
  await page.goto(`${service.home}/broker-callback?request_token=stale&account_id=${id}&status=success`);
  await page.getByText("The session did not begin").waitFor();
  await page.goto(`${service.home}/broker-callback`);
  await page.getByText("This page is where brokers lead back to after a login.").waitFor();
});

story("a login at Upstox leads back with a code and a state, and neither stays in the address", async ({ page }) => {
  const asha = await person(service);
  const id = await link(asha, "upstox", UPSTOX, "Swing trades");
  const { login_url: login } = await ask(service, "GET", `/v1/trading-accounts/${id}`, undefined, asha.token);
  await enter(page, "/", asha);
  await page.goto(login);
  await page.getByText("The session at Upstox has begun").waitFor();
  assert.equal(page.url(), `${service.home}/broker-callback`);
  // Used up.
  await page.goto(login);
  await page.getByText("The session did not begin").waitFor();
  await page.goto(`${service.home}/broker-callback?error=access_denied&state=${id}.1.x`);
  await page.getByText("Upstox did not complete the login. Nothing was changed.").waitFor();
});

story("who is signed out when the broker leads back signs in, and the session begins", async ({ page }) => {
  const asha = await person(service);
  const id = await link(asha, "kite", KITE, "Long term");
  const { login_url: login } = await ask(service, "GET", `/v1/trading-accounts/${id}`, undefined, asha.token);
  await page.goto(login);
  await heading(page, "Sign in").waitFor();
  assert.ok(!page.url().includes("request_token"));
  await page.fill("[name=username]", asha.email);
  await page.fill("[name=password]", PASSWORD);
  await page.keyboard.press("Enter");
  await page.getByText("The session at Kite has begun").waitFor();
});

story("trading is frozen in one click, in every tab, and resumed with the password", async ({ page, window }) => {
  const asha = await person(service);
  await link(asha, "alpaca", ALPACA, null);
  await enter(page, "/", asha);
  const second = await window.newPage();
  await second.goto(`${service.home}/sessions`);
  await settled(second);
  await button(page, "Freeze trading").click();
  await page.getByText("No service can read your broker credentials.").first().waitFor();
  await second.getByRole("button", { name: /^Frozen since .* by you/ }).waitFor({ timeout: 1000 });
  const frozen = await ask(service, "GET", "/v1/trading-accounts/freeze", undefined, asha.token);
  assert.equal(frozen.status, "frozen");
  assert.deepEqual(await axe(page), []);
  await dialog(page).getByRole("button", { name: "Close" }).last().click();
  await page.getByText("Trading is frozen.", { exact: true }).waitFor();

  await page.getByRole("button", { name: /^Frozen since .* by you/ }).click();
  const password = page.getByLabel("Your password", { exact: true });
  await password.fill("not the password");
  await dialog(page).getByRole("button", { name: "Resume trading" }).click();
  await page.getByText("The password or code is not right.").waitFor();
  assert.ok(await password.evaluate((field) => field === document.activeElement));
  await password.fill(PASSWORD);
  await page.keyboard.press("Enter");
  await page.getByText("Trading open").waitFor();
  await second.getByText("Trading open").waitFor({ timeout: 1000 });

  await page.keyboard.press("Shift+F");
  await page.keyboard.press("Shift+F");
  await dialog(page).getByText("Trading is frozen").waitFor();
});

story("freezing asks about resting orders where that is wanted, and says what became of them", async ({ page }) => {
  const asha = await person(service);
  await link(asha, "alpaca", ALPACA, null);
  await brokers.are({ orders: 8, cancels: "some" });
  await enter(page, "/", asha);
  await button(page, "Freeze and cancel orders…").click();
  await dialog(page).getByText("protective stops among them", { exact: false }).waitFor();
  assert.deepEqual(await axe(page), []);
  await dialog(page).getByRole("button", { name: "Freeze and cancel orders" }).click();
  await dialog(page).getByText("Some orders could not be cancelled. 2 orders rest.", { exact: false }).waitFor();
  assert.deepEqual(await axe(page), []);
  await brokers.are({ orders: 8, cancels: "ok" });
  await dialog(page).getByRole("button", { name: "Close" }).last().click();
  const frozen = await ask(service, "GET", "/v1/trading-accounts/freeze", undefined, asha.token);
  assert.equal(frozen.status, "frozen");
});

story("freezing that fails says that trading may be open, and can be tried again", async ({ page }) => {
  await enter(page, "/", await person(service));
  await page.route("**/v1/trading-accounts/freeze", (route) => (route.request().method() === "POST" ? route.abort() : route.continue()));
  await button(page, "Freeze trading").click();
  await page.getByText("Trading may not be frozen").waitFor();
  await page.unroute("**/v1/trading-accounts/freeze");
  await button(page, "Try again").click();
  await dialog(page).getByText("No service can read your broker credentials.").waitFor();
});

story("today names what stops trading, each with what ends it", async ({ page }) => {
  const asha = await person(service);
  await link(asha, "alpaca", { ...ALPACA, secret: "a-secret-of-somebody-else" }, "Swing");
  await link(asha, "kite", KITE, "Long term");
  await enter(page, "/", asha);
  await page.getByText("2 things stop trading.").waitFor();
  await page.getByText("Alpaca rejects the key of Swing").waitFor();
  await page.getByRole("link", { name: "Replace key" }).waitFor();
  await page.getByText("Long term is not verified").waitFor();
  await page.getByRole("link", { name: "Log in at Kite" }).waitFor();
  await page.getByRole("link", { name: "Set up a second factor" }).waitFor();
  assert.equal(await page.locator("main .button-primary").count(), 1, "one thing to do next");
});

story("the last hour of each provider is drawn, and said", async ({ page }) => {
  for (const ok of [true, true, false]) await asTicker("providers/alpaca-paper/outcomes", { ok, error: ok ? undefined : "timeout" });
  await enter(page, "/", await person(service));
  const strip = page.locator(".provider").filter({ hasText: "paper" });
  await strip.getByRole("img", { name: "3 calls in the last hour, 1 of them failed" }).waitFor();
  assert.equal(await strip.locator(".hour > g").count(), 12);
  const all = await page.locator(".provider").count();
  assert.equal(await page.locator(".provider").getByRole("img", { name: /in the last hour/ }).count(), all);
  await picture(page, "provider-hour");
});

story("an account is renamed, gets another key, is disabled, enabled and unlinked by name", async ({ page }) => {
  const asha = await person(service);
  await link(asha, "alpaca", { ...ALPACA, secret: "a-secret-of-somebody-else" }, "Swing");
  await enter(page, "/trading-accounts", asha);
  await page.getByText("Key rejected").waitFor();
  await button(page, "Rename").click();
  await page.getByLabel("Label").fill("Swing trades");
  await button(page, "Save label").click();
  await page.getByRole("heading", { name: "Swing trades" }).waitFor();

  await button(page, "Replace key").click();
  await dialog(page).getByLabel("API key").fill(ALPACA.key);
  await dialog(page).getByLabel("API secret").fill(ALPACA.secret);
  await dialog(page).getByRole("button", { name: "Replace key" }).click();
  await page.getByText("Alpaca accepts this key.").waitFor();
  await button(page, "Done").click();
  assert.ok(!(await kept(page)).includes(ALPACA.secret));
  await page.getByText("Active", { exact: true }).waitFor();

  await button(page, "Disable").click();
  await button(page, "Disable account").click();
  await page.getByText("No service can use this account until you enable it.").waitFor();
  await button(page, "Enable").click();
  await dialog(page).getByRole("button", { name: "Enable" }).click();
  await page.getByText("Not verified").waitFor();
  await button(page, "Check now").click();
  await page.getByText("Alpaca accepts this key.").waitFor();

  await button(page, "Unlink").click();
  await page.getByText(`The credentials of Swing trades (Alpaca, ${ALPACA.user}) are destroyed for good.`).waitFor();
  await button(page, "Unlink Swing trades").click();
  await page.getByText("No trading account yet").waitFor();
});

story("a service that reads a key is a first-time reader, with each of its readings", async ({ page }) => {
  const asha = await person(service);
  const id = await link(asha, "alpaca", ALPACA, "Swing");
  await enter(page, "/readers", asha);
  await page.getByText("Nobody read your keys").waitFor();
  await read(id, "market-stream", "ticker-start-41");
  await read(id, "market-stream", "ticker-start-42");
  await page.reload();
  await settled(page);
  await page.getByText("One service read your keys in the last 30 days.").waitFor();
  const row = page.getByRole("table", { name: /^Services that read/ }).getByRole("row", { name: /ticker/ });
  await row.getByText("First time").waitFor();
  const strip = await row.getByRole("img").getAttribute("aria-label");
  assert.match(strip, /^ticker: 2 readings in 30 days, most on .* \(2\)\. First time on /);
  await page.getByText("The same as a table").click();
  await page.getByRole("table", { name: "Readings by day and service" }).getByRole("cell", { name: "2" }).waitFor();
  await row.click();
  await page.getByText("ticker read your keys 2 times in the last 30 days.").waitFor();
  await page.getByRole("cell", { name: "ticker-start-42" }).waitFor();
  await page.getByRole("cell", { name: "Swing" }).first().waitFor();
  assert.equal(new URL(page.url()).search, "?service=ticker");
});

story("who may read again is said with its end, goes at once with a freeze, and by itself with its time", async ({ page }) => {
  const asha = await person(service);
  await enter(page, "/readers", asha);
  assert.equal(await page.getByText("Who may read again now").count(), 0, "nobody has keys yet");
  const id = await link(asha, "alpaca", ALPACA, "Swing");
  await page.reload();
  await page.getByText("No service, at the moment.").waitFor();
  assert.deepEqual(await axe(page), []);
  await read(id, "market-stream", "ticker-start-43");
  await page.reload();
  await page.getByText(/^The ticker service may read the keys of Swing again until \d\d:\d\d\.$/).waitFor();
  await page.getByText(/^Key and secret, with the session · market-stream · first read at \d\d:\d\d$/).waitFor();
  assert.deepEqual(await axe(page), []);
  await picture(page, "readers-leases");

  await button(page, "Freeze trading").click();
  await dialog(page).getByText("No service can read your broker credentials.").waitFor();
  await dialog(page).getByRole("button", { name: "Close" }).last().click();
  await page.getByText("No service, at the moment.").waitFor();

  // One that ends in a moment goes without being asked for again, and a service that cannot say it keeps nobody waiting.
  await page.clock.install();
  const begun = new Date(Date.now() - 290_000).toISOString();
  const lease = { lease_id: "lse_1", service: "execution", purpose: "unspecified", kind: "session", begun_at: begun, expires_at: new Date(Date.now() + 40_000).toISOString() };
  let asked = 0;
  await page.route("**/leases", (route) => {
    asked += 1;
    return asked === 1 ? route.fulfill({ json: [lease] }) : route.abort();
  });
  await page.goto(`${service.home}/readers`);
  await page.getByText(/^The session alone · no purpose given · first read at/).waitFor();
  await page.clock.runFor(45_000);
  await page.getByText("No service, at the moment.").waitFor();
  assert.equal(asked, 1);
});

story("leases that cannot be read are a failure with its way out, beside the readings", async ({ page }) => {
  const asha = await person(service);
  const id = await link(asha, "alpaca", ALPACA, "Swing");
  await read(id, "market-stream", "ticker-start-44");
  await enter(page, "/", asha);
  await page.route("**/leases", (route) => route.fulfill({ status: 503, contentType: "application/problem+json", body: JSON.stringify({ status: 503, code: "unavailable", title: "-", detail: "-" }) }));
  await page.goto(`${service.home}/readers`);
  await page.getByText("One service read your keys in the last 30 days.").waitFor();
  await page.locator("main [role=alert]").waitFor();
  assert.deepEqual(await axe(page), []);
  await page.unroute("**/leases");
  await page.locator("main [role=alert]").getByRole("button", { name: "Try again" }).click();
  await page.getByText(/^The ticker service may read the keys of Swing again until/).waitFor();
});

story("in Hindi and on a phone, who may read again does not stick out", async ({ page }) => {
  const asha = await person(service);
  const id = await link(asha, "alpaca", ALPACA, "A label that is as long as a label of an account may well be, and longer");
  await read(id, "market-stream", "ticker-start-45");
  await enter(page, "/readers", asha);
  await page.getByText("अभी कौन फिर से पढ़ सकता है").waitFor();
  assert.deepEqual(await overflow(page), []);
  assert.deepEqual(await axe(page), []);
  await picture(page, "readers-leases-hi-320");
}, { viewport: { width: 320, height: 640 }, language: "hi" });

describe("the readings that the page asks for", () => {
  const DAY = 86_400_000;
  /** An event as the service returns it. */
  const reading = (days, service_, purpose, number = 0) => ({
    event_id: `aud_${days}_${service_}_${purpose}_${number}`,
    type: "credentials_read",
    at: new Date(Date.now() - days * DAY).toISOString(),
    user_id: "usr_x",
    actor: `service:${service_}`,
    outcome: "success",
    service: service_,
    purpose,
    target: "acc_x",
    request_id: "req",
  });

  story("are compared with those before: a known service with a new purpose is told from a new service", async ({ page }) => {
    await page.route("**/v1/audit?*credentials_read*", (route) => {
      const isBefore = new URL(route.request().url()).searchParams.has("to");
      const items = isBefore ? [reading(40, "ticker", "market-stream")] : [reading(1, "execution", "orders"), reading(2, "ticker", "backup"), reading(3, "ticker", "market-stream")];
      return route.fulfill({ json: { items, next_cursor: null } });
    });
    await enter(page, "/readers", await person(service));
    await page.getByRole("row", { name: /execution/ }).getByText("First time").waitFor();
    await page.getByRole("row", { name: /ticker/ }).getByText("New purpose").waitFor();
    assert.equal(await page.getByText("First time", { exact: true }).count(), 1);
    assert.deepEqual(await axe(page), []);
    await picture(page, "readers-new");
  });

  story("end at a bound, which the page says", async ({ page }) => {
    let requests = 0;
    await page.route("**/v1/audit?*credentials_read*", (route) => {
      requests += 1;
      const items = Array.from({ length: 100 }, (_, index) => reading(requests / 10, "ticker", "market-stream", requests * 100 + index));
      return route.fulfill({ json: { items, next_cursor: `page ${requests}` } });
    });
    await enter(page, "/readers", await person(service));
    await page.getByText(/There are more readings than this page asks for\. It shows the newest 2,000/).waitFor();
    assert.equal(requests, 20);
    assert.equal(await page.getByText("First time", { exact: true }).count(), 0, "what is new cannot be told");
  });
});

story("a trail that was changed is said to be, with the time since which it is whole", async ({ page }) => {
  await enter(page, "/audit", await person(service));
  await page.getByText(/^Your trail is whole since/).waitFor();
  const now = new Date().toISOString();
  for (const [since, words] of [[now, /^A record from before .* was changed or removed/], [null, /^The newest records were changed/]]) {
    await page.route("**/v1/audit/integrity", (route) => route.fulfill({ json: { status: "damaged", whole_since: since, verified_at: now } }));
    await page.reload();
    await page.getByText("Your trail is not as it was written").waitFor();
    await page.getByText(words).waitFor();
    assert.deepEqual(await axe(page), []);
    await page.unroute("**/v1/audit/integrity");
  }
});

story("the filters of the own trail stand in the address", async ({ page }) => {
  const asha = await person(service);
  const id = await link(asha, "alpaca", ALPACA, "Swing");
  await read(id, "market-stream", "ticker-start-43");
  await enter(page, "/audit", asha);
  await page.getByRole("row", { name: /Signed in/ }).first().waitFor();
  await page.getByLabel("What").selectOption({ label: "Broker key read by a service" });
  await page.waitForURL(/type=credentials_read/);
  await page.waitForFunction(() => !document.body.textContent.includes("Account created") || document.querySelectorAll("tbody tr").length === 1);
  await page.getByLabel("Trading account").selectOption({ label: "Swing" });
  await page.waitForURL(new RegExp(`target=${id}`));
  await page.reload();
  const row = page.getByRole("row", { name: /ticker · market-stream · Swing/ });
  await row.waitFor();
  await row.click();
  await dialog(page).getByText("ticker-start-43").waitFor();
  assert.deepEqual(await axe(page), []);
  await page.keyboard.press("Escape");
  await button(page, "Clear filters").click();
  await page.getByRole("row", { name: /Signed in/ }).first().waitFor();
});

for (const [name, options] of [
  ["light", { colorScheme: "light" }],
  ["dark", { colorScheme: "dark" }],
  ["320 px", { viewport: { width: 320, height: 640 } }],
  ["Hindi at 320 px", { viewport: { width: 320, height: 640 }, language: "hi" }],
  ["right to left", { language: "ar-XB", viewport: { width: 360, height: 640 } }],
]) {
  story(`with accounts and readings no page has a fault for readers of screens or sticks out: ${name}`, async ({ page }) => {
    const asha = await person(service);
    const id = await link(asha, "alpaca", ALPACA, "Swing");
    await link(asha, "kite", KITE, null);
    await link(asha, "alpaca-paper", ALPACA, "Paper");
    await read(id, "market-stream", "r");
    await enter(page, "/", asha);
    for (const address of ["/", "/trading-accounts", "/readers", "/readers?service=ticker", "/audit"]) {
      await page.goto(service.home + address);
      await settled(page);
      await picture(page, `${address.replaceAll(/\W+/g, "-")}-full-${name.replaceAll(" ", "-")}`);
      assert.deepEqual(await axe(page), [], address);
      assert.deepEqual(await overflow(page), [], address);
    }
    await page.goto(`${service.home}/trading-accounts`);
    await page.locator(".actions .button").first().click();
    await dialog(page).waitFor();
    await picture(page, `link-${name.replaceAll(" ", "-")}`);
    assert.deepEqual(await axe(page), [], "the dialog");
    assert.deepEqual(await overflow(page), [], "the dialog");
  }, options);
}
