// A second factor that a role requires, and the question who one is: on the pages of the web console.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import path from "node:path";
import { after, before } from "node:test";
import { ask, axe, button, dialog, heading, kept, launch, openWindow, overflow, PASSWORD, person, refuseOnce, settled, signIn, startConsole, storyteller, totp } from "./console.js";

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

const story = storyteller((options) => openWindow(browser, service, options));

function makeAdministrator({ email }) {
  const manage = path.join(path.dirname(process.env.PORTCULLIS), "manage-users");
  execFileSync(manage, ["set-roles", email, "admin"], { env: { ...process.env, DATA_DIR: service.data } });
}

/** Sets an app up on the page that is open; returns its secret and the backup codes. */
async function enrol(page) {
  await button(page, "I cannot scan it").click();
  const secret = (await page.locator(".secret code").textContent()).replaceAll(" ", "");
  await button(page, "Next").click();
  await page.getByLabel("Code").fill(totp(secret));
  await button(page, "Turn on").click();
  await button(page, "I have saved them").waitFor();
  return { secret, codes: await page.locator(".codes code").allTextContents() };
}

story("an administrator without a second factor sets one up at the sign-in and is signed in", async ({ page }) => {
  const meera = await person(service, "Meera Nair");
  makeAdministrator(meera);
  await signIn(page, service, meera);
  await heading(page, "Set up a second factor").waitFor();
  await page.locator("svg.qr").waitFor();
  assert.deepEqual(await axe(page), []);
  await button(page, "I cannot scan it").click();
  const secret = (await page.locator(".secret code").textContent()).replaceAll(" ", "");
  await button(page, "Next").click();
  await page.getByLabel("Code").fill("000000");
  await button(page, "Turn on").click();
  await page.getByText(/^This code is not right/).waitFor();
  await page.getByLabel("Code").fill(totp(secret));
  await button(page, "Turn on").click();
  await button(page, "I have saved them").waitFor();
  const codes = await page.locator(".codes code").allTextContents();
  assert.equal(codes.length, 10);
  assert.deepEqual(await axe(page), []);
  await button(page, "I have saved them").click();
  await heading(page, "Today").waitFor();
  await page.goto(`${service.home}/admin/people`);
  await settled(page);
  await page.getByText(meera.email).first().waitFor();
  const everything = await kept(page);
  for (const shown of [secret, ...codes, PASSWORD]) assert.ok(!everything.includes(shown), "what was shown once is gone");
});

story(
  "the page of the second factor is narrow where it must be, and speaks Hindi",
  async ({ page }) => {
    const meera = await person(service, "Meera Nair");
    makeAdministrator(meera);
    await signIn(page, service, meera);
    await heading(page, "दूसरा चरण सेट अप करें").waitFor();
    await page.locator("svg.qr").waitFor();
    assert.deepEqual(await overflow(page), []);
  },
  { language: "hi", viewport: { width: 320, height: 640 } },
);

story("whoever lost the way begins the sign-in again", async ({ page }) => {
  const meera = await person(service, "Meera Nair");
  makeAdministrator(meera);
  await signIn(page, service, meera);
  await heading(page, "Set up a second factor").waitFor();
  await button(page, "Sign in as somebody else").click();
  await heading(page, "Sign in").waitFor();
});

/** Has somebody make an API key whose proof is too old; returns the dialog that asks for another one. */
async function createKeyTooLate(page) {
  await signIn(page, service, await person(service));
  await heading(page, "Today").waitFor();
  await page.getByRole("link", { name: "API keys" }).click();
  await button(page, "Create a key").click();
  await page.getByLabel("Name").fill("nightly rebalancing");
  await page.getByLabel("Read portfolio").check();
  await refuseOnce(page, "**/v1/api-keys");
  await button(page, "Create key").click();
  return dialog(page).filter({ hasText: "Confirm that it is you" });
}

story("what lasts asks once more who one is, and goes on with what was typed", async ({ page }) => {
  const asked = await createKeyTooLate(page);
  await asked.waitFor();
  assert.deepEqual(await axe(page), []);
  await asked.getByLabel("Your password", { exact: true }).fill("not this one, surely");
  await asked.getByRole("button", { name: "Confirm", exact: true }).click();
  await asked.getByText("The password or code is not right.").waitFor();
  await asked.getByLabel("Your password", { exact: true }).fill(PASSWORD);
  await asked.getByRole("button", { name: "Confirm", exact: true }).click();
  await page.getByRole("heading", { level: 2, name: "Copy the key now" }).waitFor();
});

story("whoever does not confirm has changed nothing", async ({ page }) => {
  const asked = await createKeyTooLate(page);
  await asked.getByRole("button", { name: "Cancel" }).click();
  await page.getByText(/newer or stronger proof/).waitFor();
  assert.equal(await page.getByLabel("Name").inputValue(), "nightly rebalancing");
});

story("a session that a new role asks more of goes on with a code", async ({ page }) => {
  const ravi = await person(service, "Ravi Iyer");
  await signIn(page, service, ravi);
  await heading(page, "Today").waitFor();
  await page.getByRole("link", { name: "Security" }).click();
  await button(page, "Set up").click();
  const { codes } = await enrol(page);
  await button(page, "I have saved them").click();
  await page.getByText("A stolen password alone is not enough.").waitFor();
  makeAdministrator(ravi);
  await page.goto(`${service.home}/admin/people`);
  const asked = dialog(page).filter({ hasText: "Confirm that it is you" });
  await asked.waitFor();
  await page.keyboard.press("Escape");
  assert.ok(await asked.isVisible(), "there is nothing behind it to go back to");
  await asked.getByLabel("Code of your authenticator app, or a backup code").fill(codes[0]);
  await asked.getByRole("button", { name: "Confirm", exact: true }).click();
  await settled(page);
  await page.getByText(ravi.email).first().waitFor();
});

story("whoever has no factor for a new role signs in again and gets one", async ({ page }) => {
  const bela = await person(service, "Bela Kun");
  await signIn(page, service, bela);
  await heading(page, "Today").waitFor();
  makeAdministrator(bela);
  await page.reload();
  const asked = dialog(page).filter({ hasText: "Confirm that it is you" });
  await asked.getByRole("button", { name: "Sign in again" }).click();
  await heading(page, "Sign in").waitFor();
  await signIn(page, service, bela);
  await heading(page, "Set up a second factor").waitFor();
  await enrol(page);
  await button(page, "I have saved them").click();
  await heading(page, "Today").waitFor();
  assert.ok(await ask(service, "GET", "/healthz"));
});
