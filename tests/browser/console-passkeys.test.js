// Passkeys in the web console, with the virtual authenticator of the browser (Chrome DevTools Protocol, WebAuthn).
import assert from "node:assert/strict";
import { after, before } from "node:test";
import { ask, button, dialog, heading, launch, openWindow, PASSWORD, person, refuseOnce, settled, signIn, startConsole, storyteller } from "./console.js";
import { plugIn, signInWithPasskey, signOut, withPasskey } from "./passkeys.js";

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

story("a passkey is made, signs in without a name, is named and removed", async ({ page }) => {
  const { authenticator } = await withPasskey(page, service);
  const [credential] = await authenticator.credentials();
  assert.equal(credential.rpId, "localhost");
  assert.equal(credential.isResidentCredential, true);
  assert.equal(Buffer.from(credential.userHandle, "base64").length, 64);
  await page.getByRole("row", { name: /This laptop/ }).getByText("Never").waitFor();

  await authenticator.touch(false);
  await signOut(page);
  await signInWithPasskey(page, authenticator, heading(page, "Security"));
  await page.goto(`${service.home}/security`);
  await settled(page);
  assert.equal(await page.getByRole("row", { name: /This laptop/ }).getByText("Never").count(), 0, "it was used");

  await button(page, "Rename This laptop").click();
  await dialog(page).getByLabel("Name").fill("Key on the desk");
  await button(page, "Save the name").click();
  await page.getByRole("rowheader", { name: "Key on the desk" }).waitFor();
  await button(page, "Remove Key on the desk").click();
  await dialog(page).getByLabel("Your password", { exact: true }).fill(PASSWORD);
  await button(page, "Remove passkey").click();
  await page.getByRole("rowheader", { name: "Key on the desk" }).waitFor({ state: "detached" });

  // Its authenticator still has it.
  await authenticator.touch(false);
  await signOut(page);
  await signInWithPasskey(page, authenticator, page.getByText("This passkey does not sign in here."));
  await heading(page, "Sign in").waitFor();
});

story("a passkey confirms what lasts", async ({ page }) => {
  await withPasskey(page, service);
  await page.getByRole("link", { name: "API keys" }).click();
  await heading(page, "API keys").waitFor();
  await button(page, "Create a key").click();
  await page.getByLabel("Name").fill("nightly rebalancing");
  await page.getByLabel("Read portfolio").check();
  await refuseOnce(page, "**/v1/api-keys");
  await button(page, "Create key").click();
  await dialog(page).getByRole("button", { name: "Use a passkey", exact: true }).click();
  await page.getByRole("heading", { level: 2, name: "Copy the key now" }).waitFor();
});

story("the browser offers a passkey in the field for the name", async ({ page }) => {
  const { authenticator } = await withPasskey(page, service);
  await authenticator.touch(false);
  await signOut(page);
  assert.equal(await page.locator("[name=username]").getAttribute("autocomplete"), "username webauthn");
  // The virtual authenticator chooses its passkey from the list as soon as somebody is there.
  await authenticator.touch(true);
  await page.reload();
  await heading(page, "Security").waitFor();
  assert.equal((await page.context().cookies()).some(({ name }) => name.includes("refresh")), true);
});

story("an authenticator that does not verify its user makes nothing and signs nobody in", async ({ page }) => {
  const { asha, authenticator } = await withPasskey(page, service);
  await authenticator.send("setUserVerified", { isUserVerified: false });
  await button(page, "Add a passkey").click();
  await dialog(page).getByLabel("Name").fill("Another");
  await dialog(page).getByLabel("Your password", { exact: true }).fill(PASSWORD);
  await button(page, "Go on").click();
  await page.getByText("There is a passkey of yours on this device already.").or(page.getByText("No passkey was made.")).waitFor();
  await page.keyboard.press("Escape");
  await authenticator.touch(false);
  await signOut(page);
  await authenticator.touch(true);
  await button(page, "Sign in with a passkey").click();
  await page.waitForFunction(() => !document.querySelector("[aria-disabled=true]"));
  await heading(page, "Sign in").waitFor();
  assert.equal(await page.locator(".notice.tone-danger").count(), 0, "who closes the dialog has done nothing wrong");
  await signIn(page, service, asha);
  await heading(page, "Today").waitFor();
});

story("a signature that is none, and an answer without verification, are refused by the service", async ({ page }) => {
  const { asha, authenticator } = await withPasskey(page, service);
  for (const bits of [{ isBogusSignature: true }, { isBadUV: true }, { isBadUP: true }]) {
    await authenticator.send("setResponseOverrideBits", { isBogusSignature: false, isBadUV: false, isBadUP: false, ...bits });
    await page.goto(`${service.home}/security`);
    await settled(page);
    await authenticator.touch(false);
    await signOut(page);
    await signInWithPasskey(page, authenticator, page.getByText("This passkey does not sign in here."));
    await authenticator.touch(false);
    await signIn(page, service, asha);
    await heading(page, "Today").waitFor();
  }
});

story("one tab signs in with a passkey and the other one follows", async ({ page, window }) => {
  const { authenticator } = await withPasskey(page, service);
  await authenticator.touch(false);
  await signOut(page);
  const other = await window.newPage();
  await other.goto(`${service.home}/login`);
  await heading(other, "Sign in").waitFor();
  await page.bringToFront();
  await signInWithPasskey(page, authenticator, heading(page, "Security"));
  await heading(other, "Today").waitFor();
});

story("who signed in with a password is offered a passkey once, and who has one is not", async ({ page }) => {
  const asha = await person(service);
  await plugIn(page);
  await signIn(page, service, asha);
  await page.getByText("Sign in without a password next time").waitFor();
  await button(page, "Not now").click();
  await page.getByText("Sign in without a password next time").waitFor({ state: "detached" });
  await signOut(page);
  await signIn(page, service, asha);
  await page.getByRole("link", { name: "Add a passkey" }).click();
  await heading(page, "Security").waitFor();
  await dialog(page).getByLabel("Your password", { exact: true }).fill(PASSWORD);
  await button(page, "Go on").click();
  await page.getByRole("button", { name: /^Remove / }).waitFor();
  const { items } = await ask(service, "GET", "/v1/passkeys", undefined, asha.token);
  assert.equal(items.length, 1);
});
