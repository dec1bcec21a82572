// The client in a page, bundled as an application would have it, and what tests need around it.
import { build } from "esbuild";
import fs from "node:fs";
import path from "node:path";
import { chromium } from "playwright-core";
import { network } from "./network.js";
import { start } from "./service.js";

const FLAGS =
  "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync";
export const PASSWORD = "copper lantern drifts upstream";

/** Returns the text of an ES module that has everything of the package. */
export async function bundle(contents, folder) {
  // One React, wherever another may lie beside the sources of the package.
  const installed = (name) => [name, path.join(import.meta.dirname, "node_modules", name)];
  const alias = {
    ...Object.fromEntries(["react", "react-dom"].map(installed)),
    "portcullis-client/react": path.join(folder, "src/react/index.tsx"),
    "portcullis-client": path.join(folder, "src/index.ts"),
  };
  const options = { bundle: true, write: false, format: "esm", jsx: "automatic" };
  const stdin = { contents, resolveDir: import.meta.dirname, loader: "tsx" };
  const { outputFiles } = await build({
    stdin,
    alias,
    define: { "process.env.NODE_ENV": '"development"' },
    ...options,
  });
  return Buffer.from(outputFiles[0].contents);
}

/** The first block of TSX in the README of the package, which says how sign-in is added to an application. */
function example(folder) {
  const readme = fs.readFileSync(path.join(folder, "README.md"), "utf8");
  return readme.match(/^```tsx\n(.*?)^```/ms)[1];
}

const page = (script) =>
  `<!doctype html><title>A page of a platform</title><div id="root"></div><script type="module" src="${script}"></script>`;

/** Starts a service, a network whose faults are set from outside, and a browser. */
export async function stage(conditions) {
  const folder = process.env.CLIENT;
  const files = {
    "/": page("/client.js"),
    "/client.js": await bundle('import * as all from "portcullis-client"; Object.assign(globalThis, all);', folder),
    "/example": page("/example.js"),
    "/example.js": await bundle(example(folder), folder),
  };
  const place = { service: undefined };
  const way = await network(() => place.service.url, { files, ...conditions });
  const origin = `http://localhost:${way.port}`;
  place.service = await start(process.env.PORTCULLIS, {
    PUBLIC_URL: origin,
    ALLOWED_ORIGINS: origin,
    ARGON2_MEMORY_KIB: "64",
    RATE_LIMIT: "off",
    RUST_LOG: "error",
  });
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: FLAGS.split(" ") });
  const stop = async () => {
    await browser.close();
    way.close();
    place.service.stop();
  };
  return { origin, browser, stop };
}

/** A browser profile with an account of its own, and tabs that are opened in it. */
export async function profile({ origin, browser }, name, { locks = true } = {}) {
  const context = await browser.newContext();
  if (!locks)
    await context.addInitScript(() => Object.defineProperty(Navigator.prototype, "locks", { value: undefined }));
  const email = `${name.replace(/\W+/g, ".").toLowerCase()}@example.com`;
  const credentials = { identifier: email, password: PASSWORD };
  const complaints = [];
  const open = async (path = "/") => {
    const tab = await context.newPage();
    tab.on("pageerror", (error) => complaints.push(String(error)));
    await tab.goto(origin + path);
    return tab;
  };
  const register = async (tab) => {
    const body = { email, password: PASSWORD, name: "Asha Rao" };
    const post = (body) =>
      fetch("/v1/auth/register", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
      });
    await tab.evaluate(`(${post})(${JSON.stringify(body)}).then((response) => response.text())`);
  };
  return { context, open, register, credentials, complaints };
}

/** In a page: makes its client anew, as a load of the page does, and returns the state once it is known. */
export async function restart() {
  globalThis.client?.close();
  globalThis.client = createClient();
  const restored = new Promise((resolve) => {
    const look = () => client.getSnapshot().status !== "restoring" && resolve();
    client.subscribe(look);
    look();
  });
  await restored;
  return client.getSnapshot().status;
}
