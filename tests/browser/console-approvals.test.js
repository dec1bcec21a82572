// Approvals in the web console: an order in words, on a phone, approved with a passkey or a code, or refused.
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { after, before } from "node:test";
import { ask, axe, button, dialog, heading, launch, openWindow, overflow, PASSWORD, person, picture, settled, signIn, startConsole, storyteller, totp } from "./console.js";

let browser;
let service;

before(async () => {
  browser = await launch();
  service = await startConsole();
});

after(async () => {
  await browser?.close();
  service?.stop();
});

const PHONE = { viewport: { width: 320, height: 640 } };
const story = storyteller((options) => openWindow(browser, service, { ...PHONE, ...options }));

/** Asks the service in the name of the trading service. */
async function asTrading(method, address, body) {
  const tokens = JSON.parse(fs.readFileSync(path.join(service.data, "keys/service-tokens.json"), "utf8"));
  const headers = { "x-service-token": tokens.trading[0], "content-type": "application/json" };
  const response = await fetch(service.home + address, { method, headers, body: body && JSON.stringify(body) });
  return { status: response.status, ...(await response.json()) };
}

/** Somebody with a trading account, and what asks them to approve an order with it and redeems it. */
async function trader() {
  const asha = await person(service);
  const keys = { broker: "kite", user_id_broker: "AB1234", api_key: "kitekey", api_secret: "kitesecret", label: "Long term" };
  const { account_id } = await ask(service, "POST", "/v1/trading-accounts", keys, asha.token);
  const { user_id } = await ask(service, "GET", "/v1/users/me", undefined, asha.token);
  const order = (symbol) => ({
    type: "order", account_id, exchange: "NSE", symbol, side: "buy", quantity: "10", order_type: "limit", price: "1500.50", validity: "day",
  });
  return {
    ...asha,
    asked: (symbol) => asTrading("POST", "/v1/approvals", { user_id, authorization_details: [order(symbol)] }),
    redeem: (id, symbol) => asTrading("POST", `/v1/internal/approvals/${id}/redeem`, { authorization_details: [order(symbol)] }),
  };
}

/** Turns an authenticator app on, and returns the code that it shows. */
async function withApp({ token }) {
  const { otpauth_uri } = await ask(service, "POST", "/v1/mfa/totp/setup", {}, token);
  const secret = new URL(otpauth_uri).searchParams.get("secret");
  await ask(service, "POST", "/v1/mfa/totp/enable", { code: totp(secret, Date.now() - 30_000) }, token);
  return () => totp(secret);
}

async function plugIn(page) {
  const session = await page.context().newCDPSession(page);
  await session.send("WebAuthn.enable", { enableUI: false });
  const options = {
    protocol: "ctap2", ctap2Version: "ctap2_1", transport: "internal", hasResidentKey: true, hasUserVerification: true,
    isUserVerified: true, automaticPresenceSimulation: true,
  };
  await session.send("WebAuthn.addVirtualAuthenticator", { options });
}

async function enter(page, somebody, address) {
  await signIn(page, service, somebody);
  await page.locator(".frame").waitFor();
  await page.goto(service.home + address);
  await settled(page);
}

const BUY = /Buy 10 INFY on NSE for 1500\.50 each at most \(limit order\)\. Until the end of the day\. Account AB1234 at kite, “Long term”\./;

story("an order is read in words on a phone, approved with a passkey, and redeemed once", async ({ page }) => {
  const asha = await trader();
  await plugIn(page);
  await enter(page, asha, "/security");
  await button(page, "Add a passkey").click();
  await dialog(page).getByLabel("Your password", { exact: true }).fill(PASSWORD);
  await button(page, "Go on").click();
  await dialog(page).waitFor({ state: "detached" });

  const { approval_id: id } = await asha.asked("INFY");
  await page.goto(`${service.home}/approvals`);
  await settled(page);
  await page.getByText(BUY).waitFor();
  await page.getByText("Asked for by the service trading").waitFor();
  assert.deepEqual(await overflow(page), []);
  await picture(page, "approvals-phone");
  await page.getByRole("button", { name: /^Approve: Buy 10 INFY/ }).click();
  await button(page, "Approve with a passkey").waitFor();
  await dialog(page).getByText(BUY).waitFor();
  assert.deepEqual(await overflow(page), []);
  await picture(page, "approvals-dialog-phone");
  assert.equal((await asha.redeem(id, "INFY")).code, "approval_pending");
  await button(page, "Approve with a passkey").click();
  await page.getByText("Approved. The order can be placed once, within two minutes.").waitFor();
  await page.getByText("No order waits for you").waitFor();
  assert.equal((await asha.redeem(id, "TCS")).code, "details_mismatch");
  const redeemed = await asha.redeem(id, "INFY");
  assert.deepEqual([redeemed.status, redeemed.acr], [200, "phr"]);
  assert.equal((await asha.redeem(id, "INFY")).code, "already_redeemed");
  // Last, because the debugger that brings axe takes the authenticator along when it goes.
  await asha.asked("TCS");
  await page.getByRole("button", { name: /^Approve: Buy 10 TCS/ }).waitFor();
  assert.deepEqual(await axe(page), []);
  await page.getByRole("button", { name: /^Approve: Buy 10 TCS/ }).click();
  await button(page, "Approve with a passkey").waitFor();
  assert.deepEqual(await axe(page), []);
});

story("a wrong code is told at its field, the right one approves, and what comes meanwhile joins the queue", async ({ page }) => {
  const asha = await trader();
  const { approval_id: id } = await asha.asked("INFY");
  await enter(page, asha, "/approvals");
  const code = await withApp(asha);
  await asha.asked("TCS");
  await page.getByRole("button", { name: /^Approve: Buy 10 TCS/ }).waitFor();
  const orders = await page.getByText(/^Buy 10/).allTextContents();
  assert.match(orders[0], /INFY/, "the one that ends first comes first");
  await page.getByRole("button", { name: /^Approve: Buy 10 INFY/ }).click();
  const field = dialog(page).getByLabel("Code of your authenticator app, or a backup code");
  await field.fill("nonsense");
  await button(page, "Approve the order").click();
  await dialog(page).locator("[aria-invalid=true]").waitFor();
  assert.deepEqual(await axe(page), []);
  await field.fill(code());
  await button(page, "Approve the order").click();
  await page.getByText("Approved. The order can be placed once, within two minutes.").waitFor();
  assert.equal((await asha.redeem(id, "INFY")).acr, "aal2");
});

story("an order is refused without a proof, and somebody with neither passkey nor app is told what to set up", async ({ page }) => {
  const asha = await trader();
  const { approval_id: id } = await asha.asked("INFY");
  await enter(page, asha, "/approvals");
  await page.getByRole("button", { name: /^Approve: Buy 10 INFY/ }).click();
  await dialog(page).getByText("To approve an order you need a passkey or an authenticator app.").waitFor();
  assert.deepEqual(await axe(page), []);
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: /^Refuse: Buy 10 INFY/ }).click();
  await button(page, "Refuse the order").click();
  await page.getByText("Refused. The order is not placed.").waitFor();
  assert.equal((await asha.redeem(id, "INFY")).code, "approval_over");
});

story("in Hindi, in the dark, the queue is on a phone and in the navigation", async ({ page }) => {
  const asha = await trader();
  await asha.asked("INFY");
  await enter(page, asha, "/approvals");
  await heading(page, "मंज़ूरियाँ").waitFor();
  assert.deepEqual(await overflow(page), []);
  assert.deepEqual(await axe(page), []);
  await picture(page, "approvals-phone-hi");
}, { language: "hi", colorScheme: "dark" });
