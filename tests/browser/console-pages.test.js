// Every page of the web console: in light and dark, narrow, in every language, for readers of screens; its headers, its
// weight, and what the browser keeps of it. Pictures of all of them are kept for somebody to look at.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { ask, axe, kept, launch, ONE_FACTOR, openWindow, overflow, PASSWORD, person, picture, settled, signIn, startConsole } from "./console.js";

const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";
/** The pages, from the table that the console has of them. */
const ROUTES = [...fs.readFileSync(process.env.CONSOLE_ROUTES, "utf8").matchAll(/route\(\s*"([^"]+)",\s*"([^"]+)"/g)].map(([, path, audience]) => ({ path, audience }));

let browser;
let service;
let asha;
let admin;

before(async () => {
  browser = await launch();
  service = await startConsole(ONE_FACTOR);
  asha = await person(service);
  admin = await person(service, "Meera Nair");
  const manage = path.join(path.dirname(process.env.PORTCULLIS), "manage-users");
  execFileSync(manage, ["set-roles", admin.email, "admin"], { env: { ...process.env, DATA_DIR: service.data } });
  await ask(service, "POST", "/v1/api-keys", { name: "nightly rebalancing", scopes: ["portfolio:read", "market:read"] }, asha.token);
});

after(async () => {
  await browser?.close();
  service?.stop();
});

/** The address of a page, with somebody in the place of a parameter. */
async function addressOf({ path: route }) {
  if (!route.includes(":id")) return route;
  const body = { email: admin.email, password: PASSWORD, token_delivery: "body" };
  const { access_token: token } = await ask(service, "POST", "/v1/auth/login", body);
  const { items } = await ask(service, "GET", `/v1/admin/users?search=${encodeURIComponent(asha.email)}`, undefined, token);
  return route.replace(":id", items[0].user_id);
}

/** Opens each page that an audience sees and hands it over; pages before a sign-in have a token where they want one. */
async function eachPage(options, visit) {
  for (const audience of ["signed-out", "signed-in", "admin"]) {
    const { page, check, close } = await openWindow(browser, service, options);
    try {
      if (audience !== "signed-out") {
        await signIn(page, service, audience === "admin" ? admin : asha);
        await page.locator(".frame").waitFor();
      }
      for (const route of ROUTES.filter((each) => each.audience === audience)) {
        const address = await addressOf(route);
        await page.goto(service.home + address + (route.path === "/reset-password" ? "#token=of-this-test" : ""));
        await settled(page);
        await visit(page, route);
      }
      check();
    } finally {
      await close();
    }
  }
}

const nameOf = ({ path: route }) => (route === "/" ? "today" : route.slice(1).replaceAll(/[/:]+/g, "-"));

test("the table of pages was read", () => {
  assert.ok(ROUTES.length >= 15, JSON.stringify(ROUTES));
});

test("the instruments show what they are for", async () => {
  const { page, check, close } = await openWindow(browser, service);
  await page.goto(`${service.home}/login`);
  await settled(page);
  await page.evaluate(async () => {
    document.querySelector("main").append(document.createElement("img"));
    document.querySelector("main").style.inlineSize = "200vw";
    try {
      document.querySelector("footer").innerHTML = "<b>markup from a string</b>";
    } catch {
      // Refused, and reported.
    }
    await fetch("https://example.com/").catch(() => undefined);
    console.error("a complaint");
  });
  assert.ok((await axe(page)).some((violation) => violation.startsWith("image-alt")));
  assert.ok((await overflow(page)).length > 0);
  assert.throws(check, ({ actual }) => {
    for (const fault of ["policy: require-trusted-types-for", "policy: connect-src https://example.com/", "console: a complaint"]) {
      assert.ok(actual.some((each) => each.startsWith(fault)), `${fault} is not among ${actual.join("; ")}`);
    }
    return true;
  });
  await close();
});

test("without scripts there is one sentence", async () => {
  const { page, close } = await openWindow(browser, service, { javaScriptEnabled: false });
  await page.goto(service.home);
  assert.equal((await page.locator("body").innerText()).trim(), "These pages need JavaScript.");
  await close();
});

for (const colorScheme of ["light", "dark"]) {
  test(`no page has a fault for readers of screens, ${colorScheme}`, async () => {
    await eachPage({ colorScheme }, async (page, route) => {
      await picture(page, `${nameOf(route)}-${colorScheme}`);
      assert.deepEqual(await axe(page), [], route.path);
      assert.equal(await page.locator("h1").count(), 1, route.path);
      assert.notEqual(await page.title(), "Portcullis", route.path);
    });
  });
}

for (const [language, width] of [["en", 320], ["hi", 320], ["en-XA", 320], ["ar-XB", 320], ["ar-XB", 1280]]) {
  test(`no page is wider than the window, ${language} at ${width} px`, async () => {
    await eachPage({ language, viewport: { width, height: 640 } }, async (page, route) => {
      await picture(page, `${nameOf(route)}-${language}-${width}`);
      assert.deepEqual(await overflow(page), [], route.path);
    });
  });
}

test("every text is in the catalogues, and longer ones have room", async () => {
  const { access_token: token } = await ask(service, "POST", "/v1/auth/login", { email: admin.email, password: PASSWORD, token_delivery: "body" });
  const roles = await ask(service, "GET", "/v1/admin/roles", undefined, token);
  // Names of people, brokers and roles are the same in every language.
  const names = [...roles.map(({ role }) => role), "Alpaca", "Alpaca paper", "Dhan", "Fyers", "Kite", "Upstox"];
  const own = new Set([...names, "Portcullis", "English", "हिन्दी", "en-XA", "ar-XB", asha.name, admin.name, asha.email, admin.email]);
  const plain = [];
  await eachPage({ language: "en-XA" }, async (page, route) => {
    await picture(page, `${nameOf(route)}-en-XA-1280`);
    assert.deepEqual(await overflow(page), [], route.path);
    const texts = await page.evaluate(() => {
      const walker = document.createTreeWalker(document.querySelector("#root"), NodeFilter.SHOW_TEXT);
      const found = [];
      while (walker.nextNode()) {
        const { parentElement: element, data } = walker.currentNode;
        // What the service says, names and times, is no text of the console.
        if (!element.closest("time, code, .mono, td, th[scope=row], dd, [data-from-service]")) found.push(data.trim());
      }
      return found;
    });
    const bare = texts.filter((text) => /[a-z]{3}/i.test(text) && !/[áéíóúŕţšĥñ~\[]/i.test(text) && !own.has(text));
    plain.push(...bare.map((text) => `${route.path}: ${text}`));
  });
  assert.deepEqual(plain, []);
});

describe("states of a page", () => {
  const failing = (status) => (route) =>
    route.fulfill({
      status,
      headers: { "content-type": "application/problem+json", "retry-after": "30" },
      body: JSON.stringify({ type: "x", title: "x", status, detail: "x", code: "unavailable", request_id: "of-this-test" }),
    });

  for (const colorScheme of ["light", "dark"]) {
    test(`a list that cannot be read, and an empty one, ${colorScheme}`, async () => {
      const { page, check, close } = await openWindow(browser, service, { colorScheme });
      await signIn(page, service, await person(service));
      await page.locator(".frame").waitFor();
      await page.goto(`${service.home}/api-keys`);
      await page.locator(".empty").waitFor();
      await settled(page);
      await picture(page, `api-keys-empty-${colorScheme}`);
      assert.deepEqual(await axe(page), []);
      await page.route("**/v1/api-keys*", failing(503));
      await page.goto(`${service.home}/api-keys`);
      await page.locator("main [role=alert]").waitFor();
      await page.getByText(/Try again in \d+ seconds/).waitFor();
      await picture(page, `api-keys-failed-${colorScheme}`);
      assert.deepEqual(await axe(page), []);
      check();
      await close();
    });

    test(`every page whose answers fail, ${colorScheme}`, async () => {
      await eachPage({ colorScheme }, async (page, route) => {
        if (route.audience === "signed-out") return;
        // All but the session itself.
        await page.route(/\/v1\/(?!auth\/|users\/me)/, failing(503));
        await page.reload();
        await settled(page);
        await picture(page, `${nameOf(route)}-failed-${colorScheme}`);
        assert.deepEqual(await axe(page), [], route.path);
        await page.unrouteAll();
      });
    });

    test(`the ways back in of a mailed link, ${colorScheme}`, async () => {
      const { page, check, close } = await openWindow(browser, service, { colorScheme });
      await page.goto(`${service.home}/reset-password#token=of-this-test`);
      await settled(page);
      await page.locator("form .button-link").click();
      for (const way of await page.locator("[name=way]").all()) {
        await way.check();
        await picture(page, `reset-password-${await page.locator("[name=way]:checked ~ span").textContent()}-${colorScheme}`);
        assert.deepEqual(await axe(page), []);
      }
      check();
      await close();
    });

    test(`open dialogs, ${colorScheme}`, async () => {
      const { page, check, close } = await openWindow(browser, service, { colorScheme });
      await signIn(page, service, await person(service));
      await page.locator(".frame").waitFor();
      const dialogs = [
        ["/api-keys", "main .button-primary"],
        ["/security", "main .button-primary"],
        ["/profile", "section:last-of-type .button"],
        ["/profile", ".facts .button"],
        ["/sessions", ".trading-button"],
      ];
      for (const [address, opener] of dialogs) {
        await page.goto(service.home + address);
        await settled(page);
        await page.locator(opener).first().click();
        await page.locator("dialog h2").waitFor();
        await settled(page);
        await picture(page, `dialog-${address.slice(1)}-${colorScheme}`);
        assert.deepEqual(await axe(page), [], address);
      }
      check();
      await close();
    });

    test(`refused fields, ${colorScheme}`, async () => {
      const { page, check, close } = await openWindow(browser, service, { colorScheme });
      await signIn(page, service, { email: asha.email, password: "wrong horse battery" });
      const wrong = page.locator("[aria-invalid=true]");
      await wrong.waitFor();
      const described = await wrong.getAttribute("aria-describedby");
      assert.match(await page.locator(`[id="${described.split(" ").at(-1)}"]`).textContent(), /not right/);
      assert.ok(await wrong.evaluate((input) => input === document.activeElement));
      await picture(page, `login-refused-${colorScheme}`);
      assert.deepEqual(await axe(page), []);
      check();
      await close();
    });
  }
});

test("fields say what they are for, in the words of the standard", async () => {
  const expected = {
    "/login": { username: "username webauthn", password: "current-password" },
    "/register": { name: "name", email: "email", phone: "tel", password: "new-password" },
    "/forgot-password": { email: "email" },
    "/reset-password": { new_password: "new-password" },
    "/profile": { name: "name", phone: "tel" },
  };
  const seen = {};
  await eachPage({}, async (page, { path: route }) => {
    const fields = await page.locator("form input[name]:not([type=checkbox])").evaluateAll((inputs) => inputs.map((input) => [input.name, input.autocomplete]));
    if (expected[route]) seen[route] = Object.fromEntries(fields);
    const readable = page.locator('input[autocomplete*="password"]:not([type=password])');
    assert.equal(await readable.count(), 0, `${route}: a password is masked`);
  });
  assert.deepEqual(seen, expected);
});

test("the browser keeps no secret", async () => {
  const tokens = [];
  const { page, check, close } = await openWindow(browser, service);
  page.on("response", async (response) => {
    if (!response.url().includes("/v1/auth/")) return;
    const body = await response.json().catch(() => ({}));
    if (body.access_token) tokens.push(body.access_token);
  });
  await signIn(page, service, asha);
  await page.locator(".frame").waitFor();
  for (const { path: route } of ROUTES.filter(({ audience }) => audience === "signed-in")) {
    await page.goto(service.home + route);
    await settled(page);
    const everything = await kept(page);
    for (const secret of [...tokens, PASSWORD]) assert.ok(!everything.includes(secret), route);
  }
  assert.ok(tokens.length > 5, "tokens were seen");
  const storage = await page.evaluate(() => [...Object.keys(localStorage), ...Object.keys(sessionStorage)]);
  assert.deepEqual(storage.filter((key) => key !== "language"), []);
  check();
  await close();
});

test("pages come with their own headers, and what is no page is a problem", async () => {
  for (const { path: route } of ROUTES) {
    const response = await fetch(service.home + route.replace(":id", "usr_x"));
    const { headers } = response;
    assert.equal(response.status, 200, route);
    assert.equal(headers.get("content-security-policy"), POLICY);
    assert.equal(headers.get("cache-control"), "no-cache");
    assert.equal(headers.get("cross-origin-opener-policy"), "same-origin");
    assert.match(headers.get("permissions-policy"), /publickey-credentials-create=\(self\), publickey-credentials-get=\(self\)/);
    const again = await fetch(service.home + route.replace(":id", "usr_x"), { headers: { "if-none-match": headers.get("etag") } });
    assert.equal(again.status, 304, route);
    await response.arrayBuffer();
  }
  const page = await (await fetch(service.home)).text();
  for (const [, asset] of page.matchAll(/"(\/assets\/[^"]+)"/g)) {
    const response = await fetch(service.home + asset);
    assert.equal(response.headers.get("cache-control"), "public, max-age=31536000, immutable");
    assert.equal(response.headers.get("content-encoding"), "gzip");
    assert.match(response.headers.get("content-security-policy"), /default-src 'none'/);
    await response.arrayBuffer();
  }
  for (const address of ["/assets/index-gone.js", "/nowhere", "/login/", "/index.html", "/assets/", "/admin"]) {
    const response = await fetch(service.home + address);
    assert.equal(response.status, 404, address);
    assert.equal(response.headers.get("content-type"), "application/problem+json", address);
    assert.match(response.headers.get("permissions-policy"), /publickey-credentials-get=\(\)/);
  }
});

test("the sign-in weighs 110 KB at most and does not move", async () => {
  const { page, check, close } = await openWindow(browser, service);
  const lengths = [];
  page.on("response", (response) => {
    if (!response.url().includes("/v1/")) lengths.push(response.headerValue("content-length"));
  });
  await page.addInitScript(() => {
    globalThis.shifted = 0;
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) globalThis.shifted += entry.value;
    }).observe({ type: "layout-shift", buffered: true });
  });
  await page.goto(`${service.home}/login`);
  await settled(page);
  await page.waitForLoadState("networkidle");
  const weight = (await Promise.all(lengths)).reduce((sum, length) => sum + Number(length), 0);
  const { shifted, painted } = await page.evaluate(() => ({
    shifted: globalThis.shifted,
    painted: performance.getEntriesByName("first-contentful-paint")[0]?.startTime,
  }));
  console.log(`sign-in: ${(weight / 1024).toFixed(1)} KB, first paint after ${painted?.toFixed(0)} ms, shifted by ${shifted.toFixed(4)}`);
  assert.ok(weight > 50_000 && weight <= 110 * 1024, `${weight} bytes`);
  assert.ok(shifted <= 0.02, `shifted by ${shifted}`);
  check();
  await close();
});

test("with forced colours the state and the focus can still be told", async () => {
  const { page, check, close } = await openWindow(browser, service, { forcedColors: "active" });
  await signIn(page, service, asha);
  await page.locator(".frame").waitFor();
  await page.goto(`${service.home}/security`);
  await settled(page);
  await picture(page, "security-forced-colours");
  const border = await page.locator(".rail [aria-current=page]").evaluate((element) => getComputedStyle(element).borderInlineStartStyle);
  assert.equal(border, "solid");
  check();
  await close();
});

test("with reduced motion nothing moves", async () => {
  const { page, close } = await openWindow(browser, service, { reducedMotion: "reduce" });
  await page.goto(`${service.home}/login`);
  await settled(page);
  const moving = await page.evaluate(() =>
    [...document.querySelectorAll("*")].filter((element) => Number.parseFloat(getComputedStyle(element).transitionDuration) > 0).map((element) => element.className),
  );
  assert.deepEqual(moving, []);
  await close();
});

test("a platform's name, logo and colour are on its pages", async () => {
  const logo = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 8 8'%3E%3Crect width='8' height='8' fill='%237a1f5c'/%3E%3C/svg%3E";
  const own = await startConsole({ BRAND_NAME: "Rao & Sons", BRAND_LOGO: logo, BRAND_ACCENT: "#7a1f5c" });
  for (const colorScheme of ["light", "dark"]) {
    const { page, check, close } = await openWindow(browser, own, { colorScheme });
    await page.goto(`${own.home}/login`);
    await settled(page);
    assert.equal(await page.title(), "Sign in · Rao & Sons");
    assert.ok(await page.locator(".logo").evaluate((image) => image.naturalWidth > 0));
    const colour = await page.locator(".button-primary").evaluate((element) => getComputedStyle(element).backgroundColor);
    if (colorScheme === "light") assert.equal(colour, "rgb(122, 31, 92)");
    else assert.notEqual(colour, "rgb(122, 31, 92)");
    await picture(page, `login-brand-${colorScheme}`);
    assert.deepEqual(await axe(page), []);
    check();
    await close();
  }
  own.stop();
});
