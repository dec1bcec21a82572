// What people do on the web console, from the first visit on, against the real service.
import assert from "node:assert/strict";
import { after, before, describe } from "node:test";
import { ask, button, heading, kept, launch, mailedLink, openWindow, PASSWORD, person, picture, settled, signIn, startConsole, storyteller, totp } from "./console.js";

const OTHER_PASSWORD = "marble orchard whispers northward";

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

/** Stories on a service of their own, with these variables. */
function storyWith(variables) {
  return storyteller(async (options) => {
    const strict = await startConsole(variables);
    const opened = await openWindow(browser, strict, options);
    const close = () => opened.close().finally(() => strict.stop());
    return { ...opened, strict, close };
  });
}

const strictStory = storyWith({ EMAIL_VERIFICATION: "required" });

/** Sets up an authenticator app with the typed secret; returns it and the backup codes. */
async function setUpApp(page) {
  await page.goto(`${service.home}/security`);
  await button(page, "Set up").click();
  await page.getByRole("img", { name: "QR code for your authenticator app" }).waitFor();
  await button(page, "I cannot scan it").click();
  const secret = await page.locator("dialog .secret code").textContent();
  await button(page, "Next").click();
  // The code before, so that the one of now is still unused.
  await page.getByLabel("Code").fill(totp(secret, Date.now() - 30_000));
  await button(page, "Turn on").click();
  await page.locator(".codes").waitFor();
  const codes = await page.locator(".codes code").allTextContents();
  return { secret: secret.replaceAll(" ", ""), codes };
}

story("from the first visit to a second factor, out, and in again with pasted digits and with a backup code", async ({ page }) => {
  await page.goto(service.home);
  await heading(page, "Sign in").waitFor();
  await page.getByRole("link", { name: "Create an account" }).click();
  // "E-mail or username", on the page of before, has "name" in it as well.
  await heading(page, "Create an account").waitFor();
  await page.getByLabel("Name").fill("Asha Rao");
  await page.getByLabel("E-mail").fill("asha@example.com");
  await page.getByLabel("Password", { exact: true }).fill(PASSWORD);
  await button(page, "Create account").click();
  await heading(page, "Today").waitFor();

  const { secret, codes } = await setUpApp(page);
  assert.equal(codes.length, 10);
  await page.keyboard.press("Escape");
  assert.equal(await page.locator(".codes").count(), 1, "the codes are left by saying that they are saved");
  await button(page, "I have saved them").click();
  await page.getByText("A stolen password alone is not enough.").waitFor();

  await page.getByRole("button", { name: "Account of Asha Rao" }).click();
  await button(page, "Sign out").click();
  await heading(page, "Sign in").waitFor();

  await signIn(page, service, { email: "asha@example.com" });
  await heading(page, "Enter your code").waitFor();
  await page.getByText("Signing in as asha@example.com").waitFor();
  const code = totp(secret);
  await page.getByLabel("Code").fill(`${code.slice(0, 3)} ${code.slice(3)}`);
  await button(page, "Continue").click();
  await heading(page, "Today").waitFor();

  await page.getByRole("button", { name: "Account of Asha Rao" }).click();
  await button(page, "Sign out").click();
  await signIn(page, service, { email: "asha@example.com" });
  await button(page, "Use a backup code").click();
  await page.getByLabel("Backup code").fill(codes[0]);
  await page.keyboard.press("Enter");
  await heading(page, "Today").waitFor();

  const everything = await kept(page);
  for (const shown of [secret, ...codes, PASSWORD]) assert.ok(!everything.includes(shown), "what was shown once is gone");
});

story("a forgotten password: the token leaves the address before anything is asked", async ({ page }) => {
  const { email } = await person(service);
  await page.goto(`${service.home}/login`);
  await page.getByRole("link", { name: "Forgot password?" }).click();
  // The page of before has a field of nearly the same name.
  await heading(page, "Forgot password").waitFor();
  await page.getByLabel("E-mail").fill(email);
  await button(page, "Send the link").click();
  await heading(page, "Check your mail").waitFor();

  const link = await mailedLink(service, email);
  const token = link.split("#token=")[1];
  await page.addInitScript(() => {
    globalThis.asked = [];
    const send = globalThis.fetch;
    globalThis.fetch = (input, init) => {
      globalThis.asked.push(`${input} from ${location.href}`);
      return send(input, init);
    };
  });
  await page.goto(link);
  await heading(page, "Choose a new password").waitFor();
  await page.waitForFunction(() => globalThis.asked.length > 0);
  const asked = await page.evaluate(() => globalThis.asked);
  assert.ok(asked.every((line) => !line.includes(token)), `${asked}`);
  assert.equal(page.url(), `${service.home}/reset-password`);
  assert.ok(!(await kept(page)).includes(token));

  await page.getByLabel("New password", { exact: true }).fill("password1234");
  await button(page, "Change password").click();
  const field = page.getByLabel("New password", { exact: true });
  await page.locator("[aria-invalid=true]").waitFor();
  assert.equal(await field.inputValue(), "password1234", "what was typed stays");
  assert.ok(await field.evaluate((input) => input === document.activeElement), "the focus goes to what is wrong");
  await field.fill(OTHER_PASSWORD);
  await button(page, "Change password").click();
  await heading(page, "Your password is changed").waitFor();

  await signIn(page, service, { email, password: OTHER_PASSWORD });
  await heading(page, "Today").waitFor();

  await page.goto(link);
  await page.getByLabel("New password", { exact: true }).fill(PASSWORD);
  await button(page, "Change password").click();
  await heading(page, "This link does not work any more").waitFor();
});

story("an API key is shown once, and is nowhere afterwards", async ({ page, window }) => {
  await window.grantPermissions(["clipboard-read", "clipboard-write"]);
  await signIn(page, service, await person(service));
  await heading(page, "Today").waitFor();
  await page.getByRole("link", { name: "API keys" }).click();
  await button(page, "Create a key").click();
  const name = page.getByLabel("Name");
  assert.ok(await name.evaluate((input) => input === document.activeElement));
  await name.fill("nightly rebalancing");
  await page.getByLabel("Read portfolio").check();
  await button(page, "Create key").click();
  await heading2(page, "Copy the key now").waitFor();
  await button(page, "Copy").click();
  const key = await page.evaluate(() => navigator.clipboard.readText());
  assert.match(key, /^pk_/);
  assert.equal(await page.locator("dialog .secret code").textContent(), key);
  await page.keyboard.press("Escape");
  assert.equal(await page.locator("dialog .secret").count(), 1);
  await button(page, "I have saved it").click();
  await page.getByRole("cell", { name: "Read portfolio" }).waitFor();
  assert.ok(!(await kept(page)).includes(key));

  await page.getByRole("button", { name: "Delete nightly rebalancing" }).click();
  await button(page, "Delete key").click();
  await page.getByText("No API keys").waitFor();
});

const heading2 = (page, name) => page.getByRole("heading", { level: 2, name });

story("a session is ended from another device, which is signed out", async ({ page }) => {
  const asha = await person(service);
  await signIn(page, service, asha);
  await heading(page, "Today").waitFor();
  const elsewhere = await openWindow(browser, service);
  await signIn(elsewhere.page, service, asha);
  await heading(elsewhere.page, "Today").waitFor();

  await elsewhere.page.getByRole("link", { name: "Sessions" }).click();
  await button(elsewhere.page, "End all others").click();
  await elsewhere.page.locator("dialog").getByRole("button", { name: "End all others" }).click();
  await elsewhere.page.getByText("You are signed in here and nowhere else.").waitFor();

  await page.reload();
  await heading(page, "Sign in").waitFor();
  elsewhere.check();
  await elsewhere.close();
});

story("two tabs agree within a second on who is signed in and on whether trading is frozen", async ({ page, window }) => {
  const asha = await person(service);
  const second = await window.newPage();
  await second.goto(`${service.home}/sessions`);
  await heading(second, "Sign in").waitFor();
  await signIn(page, service, asha);
  await heading(page, "Today").waitFor();
  await heading(second, "Sessions").waitFor({ timeout: 1000 });
  await page.keyboard.press("Shift+F");
  await page.keyboard.press("Shift+F");
  await heading2(page, "Trading is frozen").waitFor();
  await second.getByText(/^Frozen since/).waitFor({ timeout: 1000 });
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: /^Account of/ }).click();
  await button(page, "Sign out").click();
  await heading(second, "Sign in").waitFor({ timeout: 1000 });
});

story("signing in, freezing and resuming by keyboard alone, with the focus in view", async ({ page }) => {
  const { email } = await person(service);
  await page.goto(`${service.home}/login`);
  await heading(page, "Sign in").waitFor();
  await page.waitForFunction(() => document.activeElement?.getAttribute("name") === "username");
  await page.keyboard.type(email);
  await page.keyboard.press("Tab");
  await page.keyboard.type(PASSWORD);
  const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
  assert.equal(outline, "solid");
  await page.keyboard.press("Enter");
  await heading(page, "Today").waitFor();
  await settled(page);

  // The first stop of the keyboard leads past the navigation.
  await page.goto(`${service.home}/sessions`);
  await settled(page);
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Skip to the content");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement.id), "content");

  await page.keyboard.press("Shift+F");
  await page.keyboard.press("Shift+F");
  await heading2(page, "Trading is frozen").waitFor();
  await page.keyboard.press("Enter");
  await page.locator("dialog").waitFor({ state: "detached" });
  for (let presses = 0; !(await page.evaluate(() => document.activeElement.closest(".trading-frozen"))); presses += 1) {
    assert.ok(presses < 30, "the switch is reached by Tab");
    await page.keyboard.press("Shift+Tab");
  }
  await page.keyboard.press("Enter");
  await page.locator("dialog [name=password]").waitFor();
  await page.keyboard.type(PASSWORD);
  await page.keyboard.press("Enter");
  await page.locator(".trading-button:not(.trading-more)").waitFor();
});

story("a navigation changes the title, moves the focus and is announced once", async ({ page }) => {
  await signIn(page, service, await person(service));
  await heading(page, "Today").waitFor();
  await page.evaluate(() => {
    globalThis.announced = [];
    new MutationObserver(() => globalThis.announced.push(document.querySelector("[data-announcer]").textContent)).observe(
      document.querySelector("[data-announcer]"),
      { characterData: true, childList: true, subtree: true },
    );
  });
  await page.getByRole("link", { name: "Sessions" }).click();
  await heading(page, "Sessions").waitFor();
  await page.waitForFunction(() => document.activeElement?.id === "content");
  assert.equal(await page.title(), "Sessions · Portcullis");
  assert.deepEqual(await page.evaluate(() => globalThis.announced), ["Sessions"]);
});

story(
  "the language is the browser's until another one is chosen",
  async ({ page }) => {
    await page.goto(`${service.home}/login`);
    await heading(page, "साइन इन करें").waitFor();
    assert.equal(await page.getAttribute("html", "lang"), "hi");
    await page.getByLabel("भाषा").selectOption("en");
    await heading(page, "Sign in").waitFor();
    await page.reload();
    await heading(page, "Sign in").waitFor();
    assert.equal(await page.getAttribute("html", "lang"), "en");
  },
  { locale: "hi-IN" },
);

story("a dialog keeps the focus inside and gives it back", async ({ page }) => {
  await signIn(page, service, await person(service));
  await heading(page, "Today").waitFor();
  await page.getByRole("link", { name: "Security" }).click();
  const opener = button(page, "Change password");
  await opener.focus();
  await page.keyboard.press("Enter");
  await page.locator("dialog").waitFor();
  for (let presses = 0; presses < 12; presses += 1) {
    await page.keyboard.press("Tab");
    const isOut = await page.evaluate(() => document.activeElement !== document.body && !document.activeElement.closest("dialog"));
    assert.ok(!isOut, `after ${presses + 1} presses of Tab`);
  }
  await page.keyboard.press("Escape");
  await page.locator("dialog").waitFor({ state: "detached" });
  assert.ok(await opener.evaluate((element) => element === document.activeElement));
});

describe("when the service does not answer as it should", () => {
  const faults = [
    ["is lost", (route) => route.abort(), "The service could not be reached."],
    ["is 503", (route) => route.fulfill(problem(503, "unavailable", 2)), "The service cannot answer at the moment."],
    ["is 429", (route) => route.fulfill(problem(429, "too_many_attempts", 3)), "There were too many attempts."],
  ];
  for (const [name, fault, words] of faults) {
    story(`a sign-in whose answer ${name} keeps what was typed, and can be sent again`, async ({ page }) => {
      const { email } = await person(service);
      await page.route("**/v1/auth/login", fault);
      await signIn(page, service, { email });
      await page.getByRole("alert").getByText(words).waitFor();
      assert.equal(await page.inputValue("[name=username]"), email);
      assert.equal(await page.inputValue("[name=password]"), PASSWORD);
      await page.unroute("**/v1/auth/login");
      await page.waitForFunction(() => !document.querySelector("[type=submit][aria-disabled]"));
      await page.locator("[type=submit]").click();
      await heading(page, "Today").waitFor();
    });
  }

  story("a key that was made although the answer was lost is made once", async ({ page }) => {
    const asha = await person(service);
    await signIn(page, service, asha);
    await heading(page, "Today").waitFor();
    await page.goto(`${service.home}/api-keys`);
    await button(page, "Create a key").click();
    await page.getByLabel("Name").fill("once");
    await page.getByLabel("Read portfolio").check();
    await page.route("**/v1/api-keys", async (route) => {
      await route.fetch();
      await route.abort();
      await page.unroute("**/v1/api-keys");
    });
    await button(page, "Create key").click();
    await page.getByText("trying again is safe").waitFor();
    await button(page, "Create key").click();
    await button(page, "I have saved it").click();
    const { items } = await ask(service, "GET", "/v1/api-keys", undefined, asha.token);
    assert.equal(items.length, 1);
  });

  story("a password that has expired is replaced in the same card", async ({ page }) => {
    const { email } = await person(service);
    await page.route("**/v1/auth/login", (route) =>
      route.fulfill(problem(403, "password_expired", undefined, { session_token: "of this test" })),
    );
    await page.route("**/v1/auth/password/rotate", async (route) => {
      assert.equal(route.request().postDataJSON().session_token, "of this test");
      await route.fulfill(problem(401, "invalid_session_token"));
    });
    await signIn(page, service, { email });
    await heading(page, "Choose a new password").waitFor();
    assert.equal(await page.inputValue("[autocomplete=username]"), email);
    await page.getByLabel("New password", { exact: true }).fill(OTHER_PASSWORD);
    await page.keyboard.press("Enter");
    await page.getByText("This sign-in took too long.").waitFor();
    assert.equal(await page.inputValue("[name=username]"), email, "the name stays");
  });
});

function problem(status, code, retryAfter, more = {}) {
  const headers = { "content-type": "application/problem+json", "www-authenticate": "Bearer", ...(retryAfter && { "retry-after": String(retryAfter) }) };
  return { status, headers, body: JSON.stringify({ type: "x", title: code, status, detail: code, code, request_id: "r", ...more }) };
}

story("a page that is older than the service loads itself anew, once", async ({ page }) => {
  await signIn(page, service, await person(service));
  await heading(page, "Today").waitFor();
  let refused = 0;
  await page.route(/\/assets\/api-keys-.*\.js$/, (route) => {
    refused += 1;
    if (refused === 1) return route.fulfill({ status: 404, headers: { "content-type": "application/problem+json" }, body: "{}" });
    return route.continue();
  });
  await page.getByRole("link", { name: "API keys" }).click();
  await heading(page, "API keys").waitFor();
  await page.getByText("No API keys").waitFor();
  assert.equal(refused, 2);
});

/** Makes an account on the page, and confirms its address with the link that was mailed. */
async function registerAndConfirm(page, strict, email) {
  await page.goto(`${strict.home}/register`);
  await page.getByLabel("Name").fill("Ravi Iyer");
  await page.getByLabel("E-mail").fill(email);
  await page.getByLabel("Password", { exact: true }).fill(PASSWORD);
  await button(page, "Create account").click();
  await heading(page, "Check your mail").waitFor();
  await page.goto(await mailedLink(strict, email));
  await heading(page, "Your address is confirmed").waitFor();
}

strictStory("an address is changed from the profile, and its old one undoes that", async ({ page, strict }) => {
  await registerAndConfirm(page, strict, "ravi@example.com");
  await signIn(page, strict, { email: "ravi@example.com" });
  await heading(page, "Today").waitFor();

  await page.goto(`${strict.home}/profile`);
  await button(page, "Change…").click();
  await page.getByLabel("New e-mail").fill("ravi@example.org");
  await page.getByLabel("Your password", { exact: true }).fill("not it at all");
  await button(page, "Send the link").click();
  await page.locator("dialog [aria-invalid=true]").waitFor();
  assert.equal(await page.getByLabel("New e-mail").inputValue(), "ravi@example.org", "what was typed stays");
  await page.getByLabel("Your password", { exact: true }).fill(PASSWORD);
  await button(page, "Send the link").click();
  await page.getByText("We mailed a link to ravi@example.org").waitFor();
  await page.goto(await mailedLink(strict, "ravi@example.org"));
  await heading(page, "Use this address?").waitFor();
  assert.equal(page.url(), `${strict.home}/confirm-address`);
  await button(page, "Use this address").click();
  await heading(page, "Your address is changed").waitFor();
  await page.goto(`${strict.home}/profile`);
  await page.getByText("ravi@example.org").waitFor();

  await page.goto(await mailedLink(strict, "ravi@example.com"));
  await button(page, "Have this address back").click();
  await heading(page, "Your account has its address back").waitFor();
  await page.goto(await mailedLink(strict, "ravi@example.com"));
  await page.getByLabel("New password", { exact: true }).fill(OTHER_PASSWORD);
  await button(page, "Change password").click();
  await heading(page, "Your password is changed").waitFor();
  await signIn(page, strict, { email: "ravi@example.com", password: OTHER_PASSWORD });
  await heading(page, "Today").waitFor();
});

strictStory("with confirmation required, the link of the mail confirms the address", async ({ page, strict }) => {
  await registerAndConfirm(page, strict, "ravi@example.com");
  assert.equal(page.url(), `${strict.home}/verify-email`);
  await page.getByRole("link", { name: "Sign in" }).click();
  await signIn(page, strict, { email: "ravi@example.com" });
  await heading(page, "Today").waitFor();
});

storyWith({ PROOF_OF_WORK: "10" })("with a proof of work, the page computes it", async ({ page, strict }) => {
  await page.goto(`${strict.home}/forgot-password`);
  await page.getByLabel("E-mail").fill("ravi@example.com");
  await button(page, "Send the link").click();
  await heading(page, "Check your mail").waitFor();
});
