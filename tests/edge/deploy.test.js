// What `npx wrangler deploy` uploads: made by the one build command, small, and running as it is in workerd.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { Edge, embedded } from "./edge.js";
import { WORKER, newerNode, wrangler } from "./tools.js";

/// Bytes of the WebAssembly as it travels and as Wrangler counts it.
const MOST_COMPRESSED = 160 * 1024;

test("what would be deployed is small, and admits and refuses", { timeout: 1_200_000 }, async () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "edge-deploy-"));
  const env = { ...process.env, CI: "1", WRANGLER_SEND_METRICS: "false", WRANGLER_LOG_PATH: folder };
  const { stdout } = await promisify(execFile)(
    newerNode,
    [wrangler, "deploy", "--dry-run", "--outdir", path.join(folder, "out")],
    { cwd: WORKER, env },
  );
  assert.match(stdout, /edge: \d+ bytes of WebAssembly/, "Wrangler ran the build");
  const [upload] = /Total Upload:.*/.exec(stdout) ?? [];
  assert.ok(upload, stdout);
  const names = fs.readdirSync(path.join(folder, "out")).filter((name) => /\.(js|wasm)$/.test(name));
  const wasm = names.filter((name) => name.endsWith(".wasm"));
  assert.deepEqual([names.length, wasm.length], [2, 1], names.join(", "));
  const compressed = gzipSync(fs.readFileSync(path.join(folder, "out", wasm[0]))).length;
  console.log(`${upload}; of it the WebAssembly compressed: ${compressed} bytes`);
  assert.ok(compressed <= MOST_COMPRESSED, `${compressed} bytes`);
  const sources = ["index.js", wasm[0]].map((name) => embedded(name, path.join(folder, "out", name)));
  const edge = await Edge.start({ sources });
  try {
    assert.equal((await edge.as({}, "/v1/portfolio")).status, 200);
    assert.equal((await edge.as("forged", "/v1/portfolio")).status, 401);
  } finally {
    await edge.close();
  }
});
