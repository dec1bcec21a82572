// The browsable document at the address that the first lines print, and at the other name of this machine: the first
// operation of the first group succeeds as it stands there, and the page asks for nothing that its policy refuses.
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

/** Opens the page, sends the first operation as it is filled in, and returns its status and what the console complains of. */
async function firstClick(docs) {
  const page = await browser.newPage();
  const complaints = [];
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(String(error)));
  await page.goto(docs);
  const group = await page.locator(".opblock-tag-section").first().locator("h3").getAttribute("data-tag");
  const operation = page.locator(".opblock").first();
  await operation.locator(".opblock-summary-control").click();
  await operation.locator(".try-out__btn").click();
  const answered = page.waitForResponse((response) => response.request().method() === "POST");
  await operation.locator(".execute").click();
  const status = (await answered).status();
  await page.close();
  return { group, status, complaints };
}

for (const name of ["localhost", "127.0.0.1"]) {
  test(`the first operation works on the first click at ${name}`, async () => {
    const port = await freePort();
    const service = await start(process.env.PORTCULLIS, { LISTEN_ADDR: `127.0.0.1:${port}`, RUST_LOG: "error" });
    try {
      assert.equal(service.docs, `http://localhost:${port}/docs`);
      const clicked = await firstClick(service.docs.replace("localhost", name));
      assert.deepEqual(clicked, { group: "auth", status: 202, complaints: [] });
    } finally {
      service.stop();
    }
  });
}
