// Accounts without a password in the web console: giving it up, having one again, and the way back when the passkeys are lost.
import assert from "node:assert/strict";
import { after, before } from "node:test";
import { axe, button, dialog, heading, kept, launch, mailedLink, openWindow, overflow, PASSWORD, person, picture, settled, signIn, startConsole, storyteller } from "./console.js";
import { addPasskey, plugIn, signInWithPasskey, signOut, withPasskey } from "./passkeys.js";

const OTHER_PASSWORD = "marble orchard whispers northward";
const REMOVE = "**/v1/auth/password/remove";

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

/** Opens the dialog that removes the password, and does it. */
async function removePassword(page) {
  await button(page, "Do without a password…").click();
  await dialog(page).getByText("From then on your passkeys alone sign you in").waitFor();
  await button(page, "Remove password").click();
}

/** Somebody who removed their password and kept the codes. */
async function without(page) {
  const { asha, authenticator } = await withPasskey(page, service);
  await removePassword(page);
  return { asha, authenticator, codes: await keepCodes(page) };
}

/** Reads the codes that are shown and says that they are kept. */
async function keepCodes(page) {
  await page.locator(".codes").waitFor();
  const codes = await page.locator(".codes code").allTextContents();
  assert.equal(codes.length, 10);
  await button(page, "I have saved them").click();
  await page.locator(".codes").waitFor({ state: "detached" });
  return codes;
}

/** Asks for the link of a forgotten password, as somebody whose browser has no passkey any more, and opens it. */
async function openLink(page, { email }) {
  await page.goto(`${service.home}/forgot-password`);
  await page.getByText("The same link leads back in, with one of your backup codes.").waitFor();
  await page.getByLabel("E-mail").fill(email);
  await button(page, "Send the link").click();
  await heading(page, "Check your mail").waitFor();
  const link = await mailedLink(service, email);
  await page.goto(link);
  await heading(page, "Choose a new password").waitFor();
  return link;
}

story("a password is given up with a passkey, and had again with one", async ({ page }) => {
  const asha = await person(service);
  await signIn(page, service, asha);
  await heading(page, "Today").waitFor();
  await page.goto(`${service.home}/security`);
  await page.getByText("With a passkey and an e-mail address you can do without a password.").waitFor();
  const authenticator = await plugIn(page);
  await addPasskey(page, service, "This laptop");

  await removePassword(page);
  await page.getByText("With one of them and a link in a mail you get back in").waitFor();
  assert.deepEqual(await axe(page), []);
  await picture(page, "passwordless-codes");
  const codes = await keepCodes(page);
  await page.getByText("There is no password that could be stolen.").waitFor();
  await page.getByText("Your password is removed. Every other session has ended.").waitFor();
  await page.getByText("On 1 device.").waitFor();
  assert.equal(await page.getByRole("heading", { name: "Authenticator app" }).count(), 0, "it takes a password to be turned off");
  assert.deepEqual(await axe(page), []);
  await picture(page, "security-passwordless");
  const everything = await kept(page);
  for (const code of codes) assert.ok(!everything.includes(code), "what was shown once is gone");

  await button(page, "Make new codes").click();
  await dialog(page).getByRole("button", { name: "Make new codes", exact: true }).click();
  assert.notDeepEqual(await keepCodes(page), codes);

  await authenticator.touch(false);
  await signOut(page);
  await signIn(page, service, asha);
  await page.getByText("The name or the password is not right.").waitFor();
  await signInWithPasskey(page, authenticator, page.locator(".frame"));

  await page.goto(`${service.home}/security`);
  await button(page, "Set a password").click();
  const field = dialog(page).getByLabel("New password", { exact: true });
  const set = dialog(page).getByRole("button", { name: "Set a password", exact: true });
  await field.fill("password1234");
  await set.click();
  await dialog(page).locator("[aria-invalid=true]").waitFor();
  assert.equal(await field.inputValue(), "password1234", "what was typed stays");
  assert.deepEqual(await axe(page), []);
  await field.fill(OTHER_PASSWORD);
  await set.click();
  await page.getByText("You have a password again. Every other session has ended.").waitFor();
  await button(page, "Change password").waitFor();
});

story("codes that may not have been seen are made anew, and the page says why", async ({ page }) => {
  await withPasskey(page, service);
  // It is done, and its answer is lost.
  await page.route(REMOVE, async (route) => (await route.fetch(), route.abort()), { times: 1 });
  await removePassword(page);
  await page.getByText("Your password is removed, and you may not have seen the backup codes.").waitFor();
  await dialog(page).getByText("The ones you have stop working.").waitFor();
  await dialog(page).getByRole("button", { name: "Make new codes", exact: true }).click();
  await keepCodes(page);
  await page.getByText("There is no password that could be stolen.").waitFor();
});

story("a removal that did not happen says so, and what would leave no way back has a sentence", async ({ page }) => {
  const { authenticator } = await withPasskey(page, service);
  const refusing = (status, code) => (route) =>
    route.fulfill({
      status,
      contentType: "application/problem+json",
      headers: { "www-authenticate": 'Bearer error="invalid_grant"' },
      body: JSON.stringify({ status, code, title: code, detail: code }),
    });
  for (const [status, code, words] of [
    [409, "last_factor", "Without it there would be no way in or back."],
    [409, "passkeys_unavailable", "This service has no passkeys at this address."],
    [401, "invalid_session_token", "This took too long. Begin again."],
    [429, "too_many_attempts", "There were too many attempts."],
    [503, "unavailable", "The service cannot answer at the moment."],
  ]) {
    await page.route(REMOVE, refusing(status, code), { times: 1 });
    await removePassword(page);
    await dialog(page).getByText(words).waitFor();
    await page.keyboard.press("Escape");
  }
  // The service itself refuses an answer without its user.
  await authenticator.send("setResponseOverrideBits", { isBogusSignature: true, isBadUV: false, isBadUP: false });
  await removePassword(page);
  await dialog(page).getByText("This passkey is not one of yours.").waitFor();
  assert.deepEqual(await axe(page), []);
  await page.keyboard.press("Escape");
  await authenticator.send("setUserVerified", { isUserVerified: false });
  await removePassword(page);
  await page.waitForFunction(() => !document.querySelector("[aria-busy=true], [aria-disabled=true]"));
  assert.equal(await dialog(page).locator(".notice.tone-danger").count(), 0, "who closes the browser's dialog has done nothing wrong");
  await page.reload();
  await button(page, "Change password").waitFor();
});

story("whoever lost their passkeys gets back in with the link and a code, and makes a new one", async ({ page }) => {
  const { asha, authenticator, codes } = await without(page);
  await authenticator.touch(false);
  await signOut(page);
  await authenticator.send("clearCredentials");
  await authenticator.touch(true);
  const link = await openLink(page, asha);
  await button(page, "I have no password and lost my passkeys").click();
  await heading(page, "Get back in").waitFor();
  assert.ok(!(await kept(page)).includes(link.split("#token=")[1]));
  assert.deepEqual(await axe(page), []);
  await picture(page, "recover");
  const code = page.getByLabel("Backup code");
  await code.fill("abcde-fghij");
  await button(page, "Get back in").click();
  await page.getByText("This code is not right, or was used already.").waitFor();
  assert.equal(await code.inputValue(), "abcde-fghij", "what was typed stays");
  await code.fill(` ${codes[0]} `);
  await button(page, "Get back in").click();

  await heading(page, "Make a new passkey").waitFor();
  assert.deepEqual(await axe(page), []);
  await picture(page, "recover-passkey");
  await authenticator.send("setUserVerified", { isUserVerified: false });
  await button(page, "Make a passkey").click();
  await page.getByText("No passkey was made.").waitFor();
  await authenticator.send("setUserVerified", { isUserVerified: true });
  await button(page, "Make a passkey").click();
  await page.locator(".codes").waitFor();
  assert.deepEqual(await axe(page), []);
  assert.ok((await keepCodes(page)).every((each) => !codes.includes(each)));
  await heading(page, "Today").waitFor();
  assert.equal((await page.context().cookies()).some(({ name }) => name.includes("refresh")), true);

  await page.goto(link);
  await button(page, "I have no password and lost my passkeys").click();
  await page.getByLabel("Backup code").fill(codes[1]);
  await button(page, "Get back in").click();
  await heading(page, "This link does not work any more").waitFor();
});

story("who chooses a password where there is none is led to the way back, and may have one", async ({ page }) => {
  const { asha, authenticator, codes } = await without(page);
  await authenticator.touch(false);
  await signOut(page);
  await openLink(page, asha);
  await page.getByLabel("New password", { exact: true }).fill(OTHER_PASSWORD);
  await button(page, "Change password").click();
  await page.getByText("This account has no password that could be changed.").waitFor();
  await page.getByLabel("With a password").check();
  assert.equal(await page.getByLabel("New password", { exact: true }).inputValue(), OTHER_PASSWORD, "what was typed stays");
  assert.deepEqual(await axe(page), []);
  await page.getByLabel("Backup code").fill(codes[0]);
  await page.route("**/v1/auth/password/recover", (route) => route.abort(), { times: 1 });
  await button(page, "Get back in").click();
  await page.getByText("The service could not be reached.").waitFor();
  assert.equal(await page.getByLabel("Backup code").inputValue(), codes[0], "what was typed stays");
  await button(page, "Get back in").click();
  await heading(page, "You have a password again").waitFor();
  await page.getByRole("link", { name: "Sign in" }).click();
  await signIn(page, service, { email: asha.email, password: OTHER_PASSWORD });
  await heading(page, "Enter your code").waitFor();
  await button(page, "Use a backup code").or(page.getByLabel("Backup code")).first().waitFor();
});

story("somebody without a password confirms with a passkey whatever asks for one, and leaves with it", async ({ page }) => {
  await without(page);
  await button(page, "Freeze trading").click();
  await dialog(page).getByText("No service can read your broker credentials.").waitFor();
  await dialog(page).getByRole("button", { name: "Close" }).last().click();
  await page.getByRole("button", { name: /^Frozen since/ }).click();
  await dialog(page).getByText("Your browser asks for a passkey of yours.").waitFor();
  assert.deepEqual(await axe(page), []);
  await dialog(page).getByRole("button", { name: "Resume trading" }).click();
  await page.getByText("Trading open").waitFor();
  await button(page, "Remove This laptop").click();
  await button(page, "Remove passkey").click();
  await dialog(page).getByText("Without it there would be no way in or back.").waitFor();

  await page.goto(`${service.home}/profile`);
  await button(page, "Choose…").click();
  await dialog(page).getByLabel("Username").fill("asha");
  await dialog(page).getByText("Your browser asks for a passkey of yours.").waitFor();
  await button(page, "Save username").click();
  await button(page, "Change…").last().waitFor();
  await button(page, "Erase account…").click();
  await dialog(page).getByText("Your browser asks for a passkey of yours.").waitFor();
  assert.deepEqual(await axe(page), []);
  await dialog(page).getByRole("button", { name: "Erase account" }).click();
  await heading(page, "Sign in").waitFor();
});

story("a browser without passkeys takes no password away, and leads back in with one", async ({ page }) => {
  await page.addInitScript(() => delete globalThis.PublicKeyCredential);
  await page.goto(`${service.home}/reset-password#token=of-this-test`);
  await button(page, "I have no password and lost my passkeys").click();
  await page.getByLabel("New password", { exact: true }).waitFor();
  assert.equal(await page.locator("[name=way]").count(), 0);
  await signIn(page, service, await person(service));
  await heading(page, "Today").waitFor();
  await page.goto(`${service.home}/security`);
  await settled(page);
  assert.equal(await page.getByText(/do without a password/i).count(), 0);
});

for (const [name, options] of [
  ["dark", { colorScheme: "dark" }],
  ["Hindi at 320 px", { viewport: { width: 320, height: 640 }, language: "hi" }],
  ["right to left", { language: "ar-XB", viewport: { width: 360, height: 640 } }],
]) {
  story(`the way back has no fault for readers of screens and does not stick out: ${name}`, async ({ page }) => {
    await page.goto(`${service.home}/reset-password#token=of-this-test`);
    await settled(page);
    const check = async (what) => {
      await settled(page);
      await picture(page, `recover-${what}-${name.replaceAll(/\W+/g, "-")}`);
      assert.deepEqual(await axe(page), [], what);
      assert.deepEqual(await overflow(page), [], what);
    };
    await page.locator("form .button-link").click();
    await page.locator("[name=way]").first().waitFor();
    await check("passkey");
    await page.locator("[name=way]").last().check();
    await check("password");
    await page.fill("[name=code]", "abcde-fghij");
    await page.fill("[name=new_password]", PASSWORD);
    await page.locator("[type=submit]").click();
    await page.locator("[name=code]").waitFor({ state: "detached" });
    await check("dead");
  }, options);
}
