// What `wrangler deploy` uploads to staging and to production: made by the one build command, small, and running as it is in
// workerd. No account is needed for any of it.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { Edge, embedded } from "./edge.js";
import { ROOT, WORKER, newerNode, wrangler } from "./tools.js";

/// Bytes of the WebAssembly as it travels and as Wrangler counts it.
const MOST_COMPRESSED = 160 * 1024;

const TOML = fs.readFileSync(path.join(WORKER, "wrangler.toml"), "utf8");
const ENVIRONMENTS = ["staging", "production"];

/** Runs Wrangler with no account and no answer to anything it might ask. */
async function dryRun(folder, ...more) {
  const env = { ...process.env, CI: "1", WRANGLER_SEND_METRICS: "false", WRANGLER_LOG_PATH: folder, CLOUDFLARE_API_TOKEN: "" };
  const line = [wrangler, "deploy", "--dry-run", ...more];
  return promisify(execFile)(newerNode, line, { cwd: WORKER, env });
}

/** The part of wrangler.toml that is one deployment's. */
const part = (name) => TOML.split(/^(?=\[env\.\w+\]$)/m).find((text) => text.startsWith(`[env.${name}]`));

test("what would be deployed is small, and admits and refuses", { timeout: 1_200_000 }, async () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "edge-deploy-"));
  const secrets = path.join(folder, "secrets.json");
  fs.writeFileSync(secrets, JSON.stringify({ EDGE_PROOF_KEY: "planted-proof-key", SERVICE_TOKEN: "planted-token" }));
  const out = path.join(folder, "out");
  const { stdout, stderr } = await dryRun(folder, "--env", "production", "--secrets-file", secrets, "--outdir", out);
  assert.match(stdout, /edge: \d+ bytes of WebAssembly/, "Wrangler ran the build");
  assert.match(stdout + stderr, /edge: compiles the worker/, "and shows what it does");
  assert.doesNotMatch(stdout + stderr, /planted-/, "no secret is printed");
  const [upload] = /Total Upload:.*/.exec(stdout) ?? [];
  assert.ok(upload, stdout);
  const names = fs.readdirSync(out).filter((name) => /\.(js|wasm)$/.test(name));
  const wasm = names.filter((name) => name.endsWith(".wasm"));
  assert.deepEqual([names.length, wasm.length], [2, 1], names.join(", "));
  const compressed = gzipSync(fs.readFileSync(path.join(out, wasm[0]))).length;
  console.log(`${upload}; of it the WebAssembly compressed: ${compressed} bytes`);
  assert.ok(compressed <= MOST_COMPRESSED, `${compressed} bytes`);
  const sources = ["index.js", wasm[0]].map((name) => embedded(name, path.join(out, name)));
  const edge = await Edge.start({ sources });
  try {
    assert.equal((await edge.as({}, "/v1/portfolio")).status, 200);
    assert.equal((await edge.as("forged", "/v1/portfolio")).status, 401);
  } finally {
    await edge.close();
  }
});

test("staging and production are deployments of their own, and lead every client to the identity service", async () => {
  const { paths } = JSON.parse(fs.readFileSync(path.join(ROOT, "functions/openapi.json"), "utf8"));
  const ofClients = Object.keys(paths).filter((name) => name.startsWith("/v1/") && !name.startsWith("/v1/internal/"));
  const prefixes = new Set(ofClients.map((name) => name.split("/").slice(0, 3).join("/")));
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "edge-deploy-"));
  const seen = [];
  for (const name of ENVIRONMENTS) {
    // What is built is built: this asks Wrangler what it makes of the file alone.
    const config = path.join(WORKER, `wrangler.${name}.test.toml`);
    fs.writeFileSync(config, TOML.replace('command = "./build.sh"', 'command = "true"'));
    try {
      const { stdout, stderr } = await dryRun(folder, "--env", name, "--config", config);
      assert.doesNotMatch(stdout + stderr, /WARNING|not inherited|Unexpected fields/i);
      for (const binding of ["IDENTITY_URL", "ALLOWED_ORIGINS", "REVOCATION_POLL", "ROUTES", "RATE_LIMITER"]) {
        assert.ok(stdout.includes(`env.${binding}`), `${name} has no ${binding}: ${stdout}`);
      }
    } finally {
      fs.rmSync(config);
    }
    const text = part(name);
    const [, routes] = /^ROUTES = '''\n(.*?)'''/ms.exec(text);
    const toIdentity = JSON.parse(routes).filter(({ service, public: open }) => service === "identity" && open);
    assert.deepEqual(new Set(toIdentity.map(({ prefix }) => prefix)), prefixes, name);
    seen.push(...[/^routes = .*$/m, /^IDENTITY_URL = .*$/m, /^ALLOWED_ORIGINS = .*$/m, /^namespace_id = .*$/m].map((wanted) => wanted.exec(text)?.[0]));
  }
  assert.ok(seen.every(Boolean) && new Set(seen).size === seen.length, `the two share something: ${seen}`);
  const [common] = TOML.split("[env.staging]");
  for (const wanted of [/^workers_dev = false$/m, /^preview_urls = false$/m, /^\[observability\]\nenabled = true$/m]) {
    assert.match(common, wanted);
  }
  assert.doesNotMatch(common, /^\[vars\]|^routes/m, "what is deployed without an environment is reached by nobody");
});

test("Wrangler is of one version for everybody", () => {
  const read = (file) => JSON.parse(fs.readFileSync(path.join(ROOT, file), "utf8"));
  const { wrangler: pinned } = read("edge/worker/package.json").devDependencies;
  assert.match(pinned, /^\d+\.\d+\.\d+$/);
  assert.equal(read("tests/edge/package.json").dependencies.wrangler, pinned);
  assert.equal(read("edge/worker/package-lock.json").packages["node_modules/wrangler"].version, pinned);
});

test("a first build says how far it is", async () => {
  // Everything that a build calls, played: a compiler that takes a hundred crates, and packages that are there at once.
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "edge-build-"));
  const program = (file, text) => {
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, `#!/usr/bin/env bash\nset -eu\n${text}`, { mode: 0o755 });
  };
  fs.cpSync(path.join(ROOT, "Cargo.lock"), path.join(folder, "Cargo.lock"));
  fs.mkdirSync(path.join(folder, "edge/worker"), { recursive: true });
  fs.cpSync(path.join(WORKER, "build.sh"), path.join(folder, "edge/worker/build.sh"));
  const worker = `while [ "$1" != --out-dir ]; do shift; done; mkdir -p "$2"; : >"$2/index.js"; : >"$2/index_bg.wasm"\n`;
  program(path.join(folder, "worker-build"), `if [ "$1" = --version ]; then echo worker-build 0; exit; fi\n${worker}`);
  const installs = `tool=$2; while [ "$1" != --root ]; do shift; done; mkdir -p "$2/bin"\n`;
  const compiles = `for n in $(seq 100); do echo "   Compiling crate-$n v1.0.0" >&2; done; echo "   Downloaded x" >&2\n`;
  program(path.join(folder, "bin/cargo"), `${installs}${compiles}if [ "$tool" = worker-build ]; then cp ${folder}/worker-build "$2/bin/"; fi\n`);
  const optimiser = "node_modules/binaryen/bin/wasm-opt";
  program(path.join(folder, "bin/npm"), `mkdir -p "$3"/node_modules/{binaryen/bin,esbuild/bin}; printf '#!/bin/sh\\n' >"$3/${optimiser}"; chmod +x "$3/${optimiser}"\n`);
  program(path.join(folder, "bin/rustup"), "exit 0\n");
  const env = { ...process.env, PATH: `${folder}/bin:${process.env.PATH}`, CARGO_TARGET_DIR: path.join(folder, "target") };
  const { stdout, stderr } = await promisify(execFile)("bash", [path.join(folder, "edge/worker/build.sh")], { env });
  assert.match(stdout, /^edge: 0 bytes of WebAssembly/m);
  for (const tool of ["wasm-bindgen-cli", "worker-build"]) {
    assert.match(stderr, new RegExp(`^edge: compiles ${tool} [0-9.]+, once`, "m"));
    assert.equal(stderr.match(new RegExp(`^edge:   ${tool}: \\d+ crates so far$`, "gm")).length, 5, stderr);
  }
  assert.doesNotMatch(stderr, /Compiling crate|Downloaded/);

  // And a failure is one, with its cause.
  program(path.join(folder, "bin/cargo"), "echo 'error: no space left' >&2; exit 101\n");
  fs.rmSync(path.join(folder, "target"), { recursive: true });
  const failed = await promisify(execFile)("bash", [path.join(folder, "edge/worker/build.sh")], { env }).catch((error) => error);
  assert.notEqual(failed.code ?? 0, 0);
  assert.match(failed.stderr, /no space left/);
});
