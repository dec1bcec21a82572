// What administrators do on the web console, and what whoever is none sees of it.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { after, before } from "node:test";
import { ALPACA, startBrokers } from "./brokers.js";
import { ask, axe, button, dialog, heading, launch, mailedLink, ONE_FACTOR, openWindow, overflow, PASSWORD, person, picture, refuseOnce, settled, signIn, startConsole, storyteller } from "./console.js";

const OTHER_PASSWORD = "marble orchard whispers northward";

let browser;
let brokers;
let service;
let admin;

before(async () => {
  browser = await launch();
  brokers = await startBrokers();
  service = await startConsole({ ...brokers.variables, ...ONE_FACTOR, PROVIDERS: "yahoo" });
  admin = await person(service, "Meera Nair");
  const manage = path.join(path.dirname(process.env.PORTCULLIS), "manage-users");
  execFileSync(manage, ["set-roles", admin.email, "admin"], { env: { ...process.env, DATA_DIR: service.data } });
  admin.token = await tokenOf(admin);
});

after(async () => {
  await browser?.close();
  service?.stop();
  brokers?.stop();
});

async function tokenOf({ email }, password = PASSWORD) {
  const body = { email, password, token_delivery: "body" };
  return (await ask(service, "POST", "/v1/auth/login", body)).access_token;
}

/** Tries to sign in; returns the status of the response. */
async function attempt(email, password, agent = "node") {
  const headers = { "content-type": "application/json", "user-agent": agent };
  const body = JSON.stringify({ email, password, token_delivery: "body" });
  return (await fetch(`${service.url}/v1/auth/login`, { method: "POST", headers, body })).status;
}

/** Locks an account by guessing. */
async function lock({ email }) {
  for (let tries = 0; tries < 20; tries += 1) {
    if ((await attempt(email, "a wrong guess of somebody")) === 429) return;
  }
  assert.fail("the account was not locked");
}

const story = storyteller((options) => openWindow(browser, service, options));

async function enter(page, address, somebody = admin) {
  await signIn(page, service, somebody);
  await page.locator(".frame").waitFor();
  await page.goto(service.home + address);
  await settled(page);
}

/** The address of a person's page. */
async function pageOf({ email }) {
  const { items } = await ask(service, "GET", `/v1/admin/users?search=${encodeURIComponent(email)}`, undefined, admin.token);
  return `/admin/people/${items[0].user_id}`;
}

/** Does one of the things that can be done with an account, and confirms it. */
async function carryOut(page, deed, verb = deed) {
  await page.locator(".deed").getByRole("button", { name: deed, exact: true }).click();
  await dialog(page).getByRole("button", { name: verb, exact: true }).click();
}

/** An administrator freezes the trading of a person, who sees who did it and why, and lifts that again. */
async function freezesAndLifts(page, vikram) {
  // The header has the administrator's own.
  await page.locator("main").getByRole("button", { name: "Freeze trading" }).click();
  await dialog(page).getByLabel("Reason").fill("Orders from an address that is not his.");
  await dialog(page).getByLabel("For", { exact: true }).selectOption("3600");
  await dialog(page).getByLabel("Cancel resting orders").check();
  assert.deepEqual(await axe(page), []);
  await dialog(page).getByRole("button", { name: "Freeze trading" }).click();
  await dialog(page).getByText("The trading of Vikram Shah is frozen").waitFor();
  await dialog(page).getByRole("button", { name: "Close" }).last().click();
  await page.getByText(/^An administrator has frozen the trading of Vikram Shah since/).waitFor();
  const seen = await ask(service, "GET", "/v1/trading-accounts/freeze", undefined, vikram.token);
  assert.deepEqual([seen.frozen_by, seen.freezes[0].reason], ["admin", "Orders from an address that is not his."]);
  await page.getByRole("button", { name: "Lift the freeze" }).click();
  await dialog(page).getByRole("button", { name: "Lift the freeze" }).click();
  await page.getByText(/^An administrator has frozen/).waitFor({ state: "detached" });
  const left = await ask(service, "GET", "/v1/trading-accounts/freeze", undefined, vikram.token);
  assert.deepEqual(left.freezes.map(({ by }) => by), ["self"]);
}

story("a person is found by keyboard and the lockout lifted", async ({ page }) => {
  const vikram = await person(service, "Vikram Shah");
  await person(service, "Leela Iyer");
  await enter(page, "/admin/people");
  await page.waitForFunction(() => document.activeElement?.hasAttribute("data-search"));
  await page.keyboard.type("vikram");
  await page.waitForURL(/search=vikram/);
  await page.getByRole("row", { name: /Leela/ }).waitFor({ state: "detached" });
  await page.evaluate(() => document.activeElement.blur());
  await page.keyboard.press("?");
  await dialog(page).getByText("Next person").waitFor();
  assert.deepEqual(await axe(page), []);
  await page.keyboard.press("Escape");
  await dialog(page).waitFor({ state: "detached" });
  await page.evaluate(() => document.activeElement.blur());
  await page.keyboard.press("j");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Vikram Shah" }).waitFor();

  await lock(vikram);
  await page.locator(".deed").getByRole("button", { name: "Lift the lockout" }).focus();
  await page.keyboard.press("Enter");
  await page.getByText("Vikram Shah can try to sign in again at once.").waitFor();
  assert.deepEqual(await axe(page), []);
  await page.keyboard.press("Enter");
  await page.getByText("Vikram Shah can sign in again.").waitFor();
  assert.equal(await attempt(vikram.email, PASSWORD), 200);

  await page.getByRole("tab", { name: "Activity" }).click();
  await page.getByRole("row", { name: /Lockout lifted.*An administrator/ }).waitFor();
  await page.getByRole("tab", { name: "Trading accounts" }).click();
  await page.getByText("Vikram Shah has linked no trading account.").waitFor();
  const keys = { broker: "alpaca", user_id_broker: ALPACA.user, api_key: ALPACA.key, api_secret: ALPACA.secret, label: "Swing" };
  await ask(service, "POST", "/v1/trading-accounts", keys, vikram.token);
  await ask(service, "POST", "/v1/trading-accounts/freeze", undefined, vikram.token);
  await page.reload();
  await page.getByText(/^Vikram Shah has frozen trading since/).waitFor();
  await freezesAndLifts(page, vikram);
  await page.getByRole("row", { name: /Swing.*Alpaca.*Not verified/ }).waitFor();
  await page.getByRole("tab", { name: "Sessions" }).click();
  await page.getByRole("table", { name: "Sessions of Vikram Shah" }).waitFor();
  await page.reload();
  await page.getByRole("table", { name: "Sessions of Vikram Shah" }).waitFor();
});

story("an account is deactivated, activated, gets a role, and is erased by its name", async ({ page }) => {
  const arjun = await person(service, "Arjun Desai");
  await enter(page, await pageOf(arjun));
  await carryOut(page, "Deactivate");
  await page.getByText("Arjun Desai is deactivated.").waitFor();
  assert.equal(await attempt(arjun.email, PASSWORD), 401);
  await carryOut(page, "Activate");
  await page.getByText("Arjun Desai is active.").waitFor();
  assert.equal(await attempt(arjun.email, PASSWORD), 200);

  await page.locator(".deed").getByRole("button", { name: "Change roles" }).click();
  await dialog(page).getByLabel("trader").check();
  assert.deepEqual(await axe(page), []);
  await button(page, "Save roles").click();
  await page.getByText("Roles saved.").waitFor();
  await page.getByText("trader, user").waitFor();

  await page.locator(".deed").getByRole("button", { name: "Erase the account" }).click();
  await page.getByLabel("Type Arjun Desai to confirm").fill("Arjun");
  await dialog(page).getByRole("button", { name: "Erase the account" }).click();
  await page.getByText("This is not the name.").waitFor();
  assert.equal(await attempt(arjun.email, PASSWORD), 200);
  await page.getByLabel("Type Arjun Desai to confirm").fill("Arjun Desai");
  await dialog(page).getByRole("button", { name: "Erase the account" }).click();
  await heading(page, "People").waitFor();
  await page.waitForURL(`${service.home}/admin/people`);
  assert.equal(await attempt(arjun.email, PASSWORD), 401);
});

story("the last administrator cannot be taken away, and the page says so", async ({ page }) => {
  await enter(page, await pageOf(admin));
  await carryOut(page, "Deactivate");
  await dialog(page).getByRole("alert").getByText("Nothing was changed.").waitFor();
});

story("somebody who is invited chooses a password with the link of the mail", async ({ page }) => {
  await enter(page, "/admin/people");
  await button(page, "Add a person").click();
  assert.deepEqual(await axe(page), []);
  await page.getByLabel("Name", { exact: true }).fill("Kabir Bose");
  await page.getByLabel("E-mail").fill("kabir@example.com");
  await button(page, "Invite").click();
  await page.getByRole("heading", { name: "Kabir Bose" }).waitFor();
  const invited = await openWindow(browser, service);
  await invited.page.goto(await mailedLink(service, "kabir@example.com"));
  await invited.page.locator("[autocomplete=new-password]").first().fill(OTHER_PASSWORD);
  await invited.page.locator("[type=submit]").click();
  await invited.page.getByRole("link", { name: "Sign in" }).waitFor();
  assert.equal(await attempt("kabir@example.com", OTHER_PASSWORD), 200);
  invited.check();
  await invited.close();
});

story("the trail is found by its filters and saved as a file that no spreadsheet runs", async ({ page }) => {
  const tara = await person(service, "Tara Sen");
  await attempt(tara.email, "a wrong guess of somebody", '=HYPERLINK("http://evil.example")');
  await enter(page, "/admin/audit");
  await page.getByLabel("What").selectOption({ label: "Sign-in failed" });
  await page.getByLabel("Person (user ID)").fill((await pageOf(tara)).split("/").at(-1));
  await page.waitForURL(/type=login_failed&user_id=usr_/);
  await page.getByRole("row", { name: /Sign-in failed/ }).getByRole("link", { name: "Tara Sen" }).waitFor();
  const [csv] = await Promise.all([page.waitForEvent("download"), button(page, "Export CSV").click()]);
  assert.match(csv.suggestedFilename(), /^audit-\d{4}-\d\d-\d\d\.csv$/);
  const [head, line, end] = fs.readFileSync(await csv.path(), "utf8").split("\r\n");
  assert.match(head, /^at,type,outcome,user_id,actor,/);
  assert.match(line, /,login_failed,refused,usr_/);
  assert.ok(line.includes(`,"'=HYPERLINK(""http://evil.example"")",`), line);
  assert.equal(end, "");
  await page.getByText("1 event exported.").waitFor();
  const [json] = await Promise.all([page.waitForEvent("download"), button(page, "Export JSON").click()]);
  assert.equal(JSON.parse(fs.readFileSync(await json.path(), "utf8"))[0].type, "login_failed");
});

story("a provider that is marked as down is so for everybody, with the fallback in force", async ({ page }) => {
  const asha = await person(service);
  const keys = { broker: "alpaca", user_id_broker: ALPACA.user, api_key: ALPACA.key, api_secret: ALPACA.secret };
  const { account_id: id } = await ask(service, "POST", "/v1/trading-accounts", keys, asha.token);
  await ask(service, "POST", `/v1/trading-accounts/${id}/verify`, undefined, asha.token);
  await enter(page, "/admin/providers");
  await page.getByRole("row", { name: /^Alpaca / }).first().getByRole("button", { name: "Mark" }).click();
  await page.getByLabel("Reason").fill("outage at the exchange");
  assert.deepEqual(await axe(page), []);
  await button(page, "Set mark").click();
  await page.getByText("outage at the exchange").waitFor();

  const theirs = await openWindow(browser, service);
  await signIn(theirs.page, service, asha);
  await theirs.page.getByText("One thing stops trading.").waitFor();
  await theirs.page.getByRole("heading", { name: "Alpaca is down" }).waitFor();
  await theirs.page.getByText(/^While Alpaca is not healthy, services are told to try /).waitFor();
  await theirs.page.getByText("Set by an administrator: outage at the exchange").waitFor();
  assert.deepEqual(await axe(theirs.page), []);
  theirs.check();
  await theirs.close();

  await button(page, "Remove mark").click();
  await dialog(page).getByRole("button", { name: "Remove mark" }).click();
  await page.getByText("outage at the exchange").waitFor({ state: "detached" });

  await page.getByRole("link", { name: "History of marks: Alpaca", exact: true }).click();
  await page.waitForURL(/target=alpaca/);
  await page.getByRole("row", { name: /Provider marked.*unhealthy until .*outage at the exchange/ }).waitFor();
  await page.getByRole("row", { name: /Provider's mark removed/ }).waitFor();
});

story("signs of trouble are counted by the hour, up to a bound that the page names", async ({ page }) => {
  const nikhil = await person(service, "Nikhil Rao");
  await lock(nikhil);
  await enter(page, "/admin/trouble");
  const failed = await page.getByRole("img", { name: /^Failed sign-ins: / }).getAttribute("aria-label");
  assert.match(failed, /^Failed sign-ins: \d+ in the last 24 hours, most in the hour from \d\d:00 \(\d+\)\.$/);
  await page.getByRole("img", { name: /^Accounts made to wait: / }).waitFor();
  await page.getByRole("link", { name: "Show events: Failed sign-ins" }).click();
  await heading(page, "Audit trail").waitFor();
  assert.match(page.url(), /type=login_failed&from=\d{4}-\d\d-\d\d$/);

  let requests = 0;
  await page.route("**/v1/admin/audit?*refresh_token_reuse*", (route) => {
    requests += 1;
    const at = new Date(Date.now() - requests * 60_000).toISOString();
    const items = Array.from({ length: 100 }, (_, index) => ({ event_id: `aud_${requests}_${index}`, type: "refresh_token_reuse", at, user_id: "usr_x", actor: "self", outcome: "refused", request_id: "r" }));
    return route.fulfill({ json: { items, next_cursor: `page ${requests}` } });
  });
  await page.goto(`${service.home}/admin/trouble`);
  await page.getByText("at least 1,000").waitFor();
  await page.getByText(/More was asked to be counted than this page reads/).waitFor();
  assert.equal(requests, 10);
});

story("everybody is frozen with a reason and an end, is told so, and it is lifted", async ({ page, window }) => {
  const asha = await person(service);
  const theirs = await openWindow(browser, service);
  await enter(theirs.page, "/", asha);
  await enter(page, "/admin/trouble");
  await page.getByText("Open: services may read the broker credentials").waitFor();
  await button(page, "Freeze everybody…").click();
  await dialog(page).getByText("Sessions at brokers go on, and no order is cancelled").waitFor();
  assert.deepEqual(await axe(page), []);
  await picture(page, "freeze-everybody");
  await dialog(page).getByLabel("Reason").fill("orders that nobody placed");
  await dialog(page).getByLabel("For").selectOption({ label: "1 hour" });
  await page.route("**/v1/admin/freeze", (route) => route.abort(), { times: 1 });
  await button(page, "Freeze everybody").click();
  await dialog(page).getByText("The service could not be reached.").waitFor();
  assert.equal(await dialog(page).getByLabel("Reason").inputValue(), "orders that nobody placed", "what was typed stays");
  await refuseOnce(page, "**/v1/admin/freeze");
  await button(page, "Freeze everybody").click();
  await dialog(page).getByText("What you are about to do lasts.").waitFor();
  await dialog(page).getByLabel("Your password", { exact: true }).fill(PASSWORD);
  await button(page, "Confirm").click();
  const notice = page.locator("main .notice").filter({ hasText: /^Trading is frozen for everybody since/ });
  await notice.getByText("orders that nobody placed").waitFor();
  await notice.getByText(/^Frozen by Meera Nair until \d\d:\d\d$/).waitFor();
  await page.getByRole("button", { name: /^Frozen for everybody since/ }).waitFor();
  assert.deepEqual(await axe(page), []);
  await picture(page, "everybody-frozen");

  await theirs.page.reload();
  await theirs.page.getByRole("button", { name: /^Frozen for everybody since/ }).click();
  await dialog(theirs.page).getByText("Only an administrator lifts this.").waitFor();
  await dialog(theirs.page).getByText("orders that nobody placed").waitFor();
  theirs.check();
  await theirs.close();

  await button(page, "Lift the freeze").click();
  await dialog(page).getByText("stays frozen.").waitFor();
  await dialog(page).getByRole("button", { name: "Lift the freeze", exact: true }).click();
  await page.getByText("Open: services may read the broker credentials").waitFor();
  await page.getByText("Trading open").waitFor();
  assert.equal(window.pages().length, 1);
});

story("whoever is no administrator is told so, and nothing is asked of the service", async ({ page }) => {
  const asked = [];
  page.on("request", (request) => request.url().includes("/v1/admin/") && asked.push(request.url()));
  await enter(page, "/", await person(service));
  assert.equal(await page.getByRole("link", { name: "People" }).count(), 0);
  for (const address of ["/admin/people", await pageOf(admin), "/admin/audit", "/admin/providers", "/admin/trouble"]) {
    await page.goto(service.home + address);
    await page.getByText("This is for administrators").waitFor();
    assert.deepEqual(await axe(page), [], address);
  }
  assert.deepEqual(asked, []);
});

for (const [name, options] of [
  ["light", { colorScheme: "light" }],
  ["dark", { colorScheme: "dark" }],
  ["320 px", { viewport: { width: 320, height: 640 } }],
  ["Hindi at 320 px", { viewport: { width: 320, height: 640 }, language: "hi" }],
  ["right to left", { language: "ar-XB", viewport: { width: 360, height: 640 } }],
]) {
  story(`no page of administration has a fault for readers of screens or sticks out: ${name}`, async ({ page }) => {
    const somebody = await person(service, "Devika Menon");
    const keys = { broker: "alpaca", user_id_broker: ALPACA.user, api_key: ALPACA.key, api_secret: ALPACA.secret, label: "Swing" };
    await ask(service, "POST", "/v1/trading-accounts", keys, somebody.token);
    await ask(service, "POST", "/v1/trading-accounts/freeze", undefined, somebody.token);
    await attempt(somebody.email, "a wrong guess of somebody");
    const theirs = await pageOf(somebody);
    const addresses = ["/admin/people", "/admin/people?search=nobody-at-all", theirs, `${theirs}?tab=sessions`, `${theirs}?tab=keys`, `${theirs}?tab=trading`, `${theirs}?tab=activity`, "/admin/people/usr_00000000000000000000000000000000", "/admin/audit", "/admin/providers", "/admin/trouble"];
    await enter(page, "/");
    for (const [index, address] of addresses.entries()) {
      await page.goto(service.home + address);
      await settled(page);
      await picture(page, `admin-${index}-${name.replaceAll(" ", "-")}`);
      assert.deepEqual(await axe(page), [], address);
      assert.deepEqual(await overflow(page), [], address);
    }
  }, options);
}
