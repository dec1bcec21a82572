// infra/FIRST_DEPLOYMENT.md from its step 7 on, in its order: what is seen there is seen here.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { bundle } from "./client-page.js";
import { deploy, handTo, mailedLink, manageUsers, rotate, secret, smoke, withTls } from "./cloud.js";
import { button, heading, launch, openWindow, PASSWORD, picture, totp } from "./console.js";

const NEW_PASSWORD = "marble orchard whispers northward";
// As samconfig.toml has them.
const AUTH = "https://auth.dev.example.com";
const APP = "https://app.dev.example.com";
const PAGE = '<!doctype html><title>A page of the platform</title><script type="module" src="/client.js"></script>';

let cloud;
let fronts = [];
let browser;

before(async () => {
  cloud = await deploy();
  const script = await bundle('import * as all from "portcullis-client"; Object.assign(globalThis, all);', process.env.CLIENT);
  const page = (request, response) => {
    const [type, body] = request.url === "/client.js" ? ["text/javascript", script] : ["text/html", PAGE];
    response.writeHead(200, { "content-type": type }).end(body);
  };
  fronts = [await withTls(cloud.folder, handTo(cloud.url)), await withTls(cloud.folder, page)];
  const rules = [AUTH, APP].map((origin, number) => `MAP ${new URL(origin).host}:443 127.0.0.1:${fronts[number].port}`);
  browser = await launch(`--host-resolver-rules=${rules.join(",")}`);
});

after(async () => {
  await browser?.close();
  for (const front of fronts) front.close();
  cloud?.stop();
});

const ask = (address, options) => fetch(cloud.url + address, options);

async function signInAs(name, password) {
  const headers = { "content-type": "application/json" };
  const body = JSON.stringify({ [name.includes("@") ? "email" : "username"]: name, password, token_delivery: "body" });
  return ask("/v1/auth/login", { method: "POST", headers, body });
}

/** Runs a story on the console in a window of its own; its pages must not complain. */
async function onConsole(story) {
  const { page, check, close } = await openWindow(browser, { home: AUTH }, { ignoreHTTPSErrors: true });
  try {
    await story(page);
    check();
  } catch (error) {
    await picture(page, "failed-first-deployment");
    throw error;
  } finally {
    await close();
  }
}

async function signInOnPage(page, name, password) {
  await page.goto(`${AUTH}/login`);
  await page.fill("[name=username]", name);
  await page.fill("[name=password]", password);
  await page.keyboard.press("Enter");
  await heading(page, "Today").waitFor();
}

test("step 7: the rotation makes the keys, and nothing is answered before it", async () => {
  assert.equal((await ask("/v1/auth/.well-known/jwks.json")).status, 500);
  await rotate(cloud);
  const published = await ask("/v1/auth/.well-known/jwks.json");
  assert.equal(published.status, 200);
  assert.equal((await published.json()).keys.length, 2);
  assert.equal((await (await ask("/healthz")).json()).status, "ok");
});

test("step 7: a page of another origin asks first, whatever has a route and whatever has none", async () => {
  const asked = (origin, address) => {
    const headers = { origin, "access-control-request-method": "POST", "access-control-request-headers": "content-type" };
    return ask(address, { method: "OPTIONS", headers });
  };
  for (const address of ["/v1/auth/login", "/v1/trading-accounts", "/v1/nothing"]) {
    const allowed = await asked(APP, address);
    assert.ok(allowed.ok, `${address}: ${allowed.status}`);
    assert.equal(allowed.headers.get("access-control-allow-origin"), APP);
    assert.equal((await asked("https://app.example.net", address)).headers.get("access-control-allow-origin"), null);
  }
});

test("step 8: the first administrator is made on the command line, sets a second factor up and is signed in", async () => {
  const line = ["--table", "portcullis-dev", "create-user", "root", "--role", "admin", "--email", "you@example.com"];
  assert.match(manageUsers(line, `${PASSWORD}\n`), /^made root \(usr_[0-9a-f]+\)$/m);
  const response = await signInAs("root", PASSWORD);
  assert.equal(response.status, 200);
  const { status, session_token } = await response.json();
  assert.equal(status, "mfa_enrolment_required");
  const post = (address, body) => ask(address, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
  const { secret: shared } = await (await post("/v1/mfa/totp/setup", { session_token })).json();
  const enabled = await post("/v1/mfa/totp/enable", { session_token, code: totp(shared) });
  assert.equal(enabled.status, 200);
  const token = (await enabled.json()).session.access_token;
  const people = await ask("/v1/admin/users", { headers: { authorization: `Bearer ${token}` } });
  assert.equal(people.status, 200);
});

test("step 9: who is invited opens the link of the mail, chooses a password and signs in", async () => {
  const line = ["--table", "portcullis-dev", "invite-user", "bela@example.com", "--role", "trader", "--name", "Bela Kun"];
  assert.match(manageUsers(line), /^invited bela@example.com/m);
  const link = await mailedLink("bela@example.com");
  assert.ok(link.startsWith(`${AUTH}/`), link);
  await onConsole(async (page) => {
    await page.goto(link);
    await page.locator("[autocomplete=new-password]").first().fill(PASSWORD);
    await page.locator("[type=submit]").click();
    await page.getByRole("link", { name: "Sign in" }).waitFor();
    await signInOnPage(page, "bela@example.com", PASSWORD);
  });
});

test("somebody registers, confirms the address by the link of the mail, and may then sign in", async () => {
  await onConsole(async (page) => {
    await page.goto(`${AUTH}/register`);
    await page.getByLabel("Name").fill("Ravi Iyer");
    await page.getByLabel("E-mail").fill("ravi@example.com");
    await page.getByLabel("Password", { exact: true }).fill(PASSWORD);
    await button(page, "Create account").click();
    await heading(page, "Check your mail").waitFor();
    assert.equal((await signInAs("ravi@example.com", PASSWORD)).status, 403);
    await page.goto(await mailedLink("ravi@example.com"));
    await heading(page, "Your address is confirmed").waitFor();
    await signInOnPage(page, "ravi@example.com", PASSWORD);
  });
});

test("a page of the platform signs in from its own origin, and finds the session again when it is opened anew", async () => {
  const window = await browser.newContext({ ignoreHTTPSErrors: true });
  const page = await window.newPage();
  const restored = async () => {
    await page.goto(`${APP}/`);
    return page.evaluate(async (baseUrl) => {
      globalThis.client = createClient({ baseUrl });
      await new Promise((resolve) => {
        const look = () => client.getSnapshot().status !== "restoring" && resolve();
        client.subscribe(look);
        look();
      });
      return client.getSnapshot().status;
    }, AUTH);
  };
  assert.equal(await restored(), "signed_out");
  const signedIn = await page.evaluate(
    (password) => client.login({ identifier: "bela@example.com", password }).then(({ status, user }) => [status, user.name]),
    PASSWORD,
  );
  assert.deepEqual(signedIn, ["signed_in", "Bela Kun"]);
  assert.equal(await restored(), "signed_in");
  const sessions = await page.evaluate(() => client.get("/v1/sessions").then(({ items }) => items.length));
  assert.ok(sessions >= 1);
  await window.close();
});

test("a forgotten password is replaced by the link of the mail", async () => {
  await onConsole(async (page) => {
    await page.goto(`${AUTH}/login`);
    await page.getByRole("link", { name: "Forgot password?" }).click();
    // The page of before has a field of nearly the same name.
    await heading(page, "Forgot password").waitFor();
    await page.getByLabel("E-mail").fill("bela@example.com");
    const invitation = await mailedLink("bela@example.com");
    await button(page, "Send the link").click();
    await heading(page, "Check your mail").waitFor();
    const link = await mailedLink("bela@example.com", invitation);
    assert.ok(link.startsWith(`${AUTH}/reset-password#`), link);
    await page.goto(link);
    await page.getByLabel("New password", { exact: true }).fill(NEW_PASSWORD);
    await button(page, "Change password").click();
    await heading(page, "Your password is changed").waitFor();
    await signInOnPage(page, "bela@example.com", NEW_PASSWORD);
  });
  assert.equal((await signInAs("bela@example.com", PASSWORD)).status, 401);
});

test("step 10: the tokens of services are in their secret, and the edge reads revocations with its own", async () => {
  const { SERVICE_TOKENS: tokens } = await secret("portcullis/dev/services");
  const [edge] = JSON.parse(tokens.current).edge;
  const read = (token) => ask("/v1/internal/revocations", { headers: { "x-service-token": token } });
  assert.equal((await read(edge)).status, 200);
  assert.equal((await read("nobody")).status, 401);
});

test("step 11: the smoke test goes well with what operators have, and leaves nobody", async () => {
  const said = await smoke(cloud);
  assert.match(said, /^ok {5}the account is erased \(its owner, /m);
  assert.match(said, /does what it should\n$/);
  assert.doesNotMatch(manageUsers(["--table", "portcullis-dev", "list-users", "--columns", "email"]), /portcullis-smoke/);
});
