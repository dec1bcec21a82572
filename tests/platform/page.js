// Ravi at the page of the sample platform, in Chromium. Serves the page and passes everything else on, as the host of a
// platform does; exits with 0 when his day went well.
//
// BROWSER_TOOLS, CLIENT, TARGETS (pairs of prefix and address), PORT, TOKEN_IN, NAME and PASSWORD come from the environment.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import http from "node:http";
import { createRequire } from "node:module";
import net from "node:net";
import path from "node:path";

const { BROWSER_TOOLS, CLIENT, TARGETS, PORT, TOKEN_IN, NAME, PASSWORD } = process.env;
const tools = createRequire(path.join(BROWSER_TOOLS, "package.json"));
const { build } = tools("esbuild");
const { chromium } = tools("playwright-core");
const HOME = `http://localhost:${PORT}`;
const FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update"];
const DOCUMENT = '<!doctype html><title>A platform</title><link rel="icon" href="data:,"><div id="root"></div><script src="/page.js"></script>';

async function bundle() {
  const installed = (name) => [name, path.join(BROWSER_TOOLS, "node_modules", name)];
  const { outputFiles } = await build({
    entryPoints: [path.join(import.meta.dirname, "page.tsx")],
    bundle: true,
    write: false,
    jsx: "automatic",
    banner: { js: `globalThis.PLATFORM = ${JSON.stringify({ tokenIn: TOKEN_IN })};` },
    define: { "process.env.NODE_ENV": '"production"' },
    alias: {
      ...Object.fromEntries(["react", "react-dom"].map(installed)),
      "portcullis-client/react": path.join(CLIENT, "src/react/index.tsx"),
      "portcullis-client": path.join(CLIENT, "src/index.ts"),
    },
  });
  return outputFiles[0].text;
}

function targetOf(url) {
  const [, address] = JSON.parse(TARGETS).find(([prefix]) => url.startsWith(prefix));
  return new URL(address);
}

/** The host of the platform: its page, and in front of everything else nothing but a wire. */
async function serve(script) {
  const server = http.createServer((request, response) => {
    if (request.url === "/") return response.writeHead(200, { "content-type": "text/html" }).end(DOCUMENT);
    if (request.url === "/page.js") return response.writeHead(200, { "content-type": "text/javascript" }).end(script);
    const { method, headers } = request;
    const forwarded = http.request(new URL(request.url, targetOf(request.url)), { method, headers });
    forwarded.on("response", (answer) => answer.pipe(response.writeHead(answer.statusCode, answer.headers)));
    forwarded.on("error", () => response.destroy());
    request.pipe(forwarded);
  });
  server.on("upgrade", (request, socket) => {
    const { hostname, port } = targetOf(request.url);
    const upstream = net.connect(Number(port), hostname);
    const headers = request.rawHeaders.reduce((text, part, index) => text + part + (index % 2 ? "\r\n" : ": "), "");
    upstream.write(`GET ${request.url} HTTP/1.1\r\n${headers}\r\n`);
    for (const [from, to] of [[socket, upstream], [upstream, socket]]) {
      from.pipe(to);
      from.on("error", () => to.destroy());
    }
  });
  await new Promise((listens) => server.listen(Number(PORT), "localhost", listens));
  return server;
}

async function signIn(page, password) {
  await page.getByLabel("E-mail").fill(NAME);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
}

/** Waits until the ticker says this. */
const says = (page, words) => page.locator("output").getByText(words).waitFor();

async function day(window) {
  const page = await window.newPage();
  await page.goto(HOME);
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  await signIn(page, "not the password of Ravi");
  await page.getByRole("alert").getByText("invalid_credentials").waitFor();
  await signIn(page, PASSWORD);
  await page.getByRole("heading", { name: "Desk of Ravi Iyer" }).waitFor();
  await page.getByRole("listitem").getByText("INFY 10").waitFor();
  await page.getByText("Trading is active").waitFor();

  await page.getByRole("button", { name: "Take prices" }).click();
  await says(page, "INFY from kite");
  await page.waitForFunction(() => Number(document.querySelector("output").dataset.count) >= 3);

  // A second tab needs no password.
  const second = await window.newPage();
  await second.goto(HOME);
  await second.getByRole("heading", { name: "Desk of Ravi Iyer" }).waitFor();

  await page.getByRole("button", { name: "Freeze trading" }).click();
  await page.getByText("Trading is frozen").waitFor();
  await says(page, "closed with 4403");
  await page.getByLabel("Your password").fill(PASSWORD);
  await page.getByRole("button", { name: "Resume trading" }).click();
  await page.getByText("Trading is active").waitFor();
  // The freeze ended his session at the broker.
  await page.getByRole("button", { name: "Take prices" }).click();
  await says(page, "login_needed, closed with 4409");

  await page.getByRole("button", { name: "Sign out" }).click();
  for (const tab of [page, second]) await tab.getByRole("heading", { name: "Sign in" }).waitFor({ timeout: 2000 });
  await second.reload();
  await second.getByRole("heading", { name: "Sign in" }).waitFor();
}

const server = await serve(await bundle());
const executablePath = execFileSync("sh", ["-c", "command -v chromium chromium-browser google-chrome | head -n 1"], { encoding: "utf8" }).trim();
const browser = await chromium.launch({ executablePath, args: FLAGS });
const faults = [];
try {
  const window = await browser.newContext();
  window.on("weberror", (error) => faults.push(String(error.error())));
  await day(window);
  assert.deepEqual(faults, []);
} finally {
  await browser.close();
  server.closeAllConnections();
  server.close();
}
