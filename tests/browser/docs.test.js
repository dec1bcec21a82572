// The browsable document at the address that the first lines print, and at the other name of this machine: a registration, the
// first operation there is, and a sign-in succeed as they stand there, and the page asks for nothing that its policy refuses.
import assert from "node:assert/strict";
import net from "node:net";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";
import { start } from "./service.js";

const FLAGS =
  "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync";

async function freePort() {
  const server = net.createServer().listen(0, "127.0.0.1");
  await new Promise((listens) => server.on("listening", listens));
  const { port } = server.address();
  await new Promise((closed) => server.close(closed));
  return port;
}

let browser;

before(async () => {
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: FLAGS.split(" ") });
});

after(() => browser?.close());

/** Sends an operation as it is filled in, and returns its status. */
async function sent(page, operation) {
  await operation.locator(".opblock-summary-control").click();
  await operation.locator(".try-out__btn").click();
  const answered = page.waitForResponse((response) => response.request().method() === "POST");
  await operation.locator(".execute").click();
  return (await answered).status();
}

/** Opens the page, registers with the first operation, signs in, and returns what came of it and what the console says. */
async function firstClicks(docs) {
  const page = await browser.newPage();
  const complaints = [];
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(String(error)));
  await page.goto(docs);
  const group = await page.locator(".opblock-tag-section").first().locator("h3").getAttribute("data-tag");
  const registered = await sent(page, page.locator(".opblock").first());
  const signedIn = await sent(page, page.locator("#operations-auth-login"));
  await page.close();
  return { group, registered, signedIn, complaints };
}

for (const name of ["localhost", "127.0.0.1"]) {
  test(`a registration and a sign-in work as they stand there at ${name}`, async () => {
    const port = await freePort();
    const service = await start(process.env.PORTCULLIS, { LISTEN_ADDR: `127.0.0.1:${port}`, RUST_LOG: "error" });
    try {
      assert.equal(service.docs, `http://localhost:${port}/docs`);
      const clicked = await firstClicks(service.docs.replace("localhost", name));
      assert.deepEqual(clicked, { group: "auth", registered: 201, signedIn: 200, complaints: [] });
    } finally {
      service.stop();
    }
  });
}
