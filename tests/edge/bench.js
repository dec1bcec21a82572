// What a request costs in workerd: an empty worker, `jose`, a worker that does the same with `jose` (peer.js), and this
// one, with the same key and tokens. OTHER_BUILD may name a folder with another build to measure beside them.
//
// CPU is the time the threads of workerd ran, from the scheduler's own count, for a number of requests over a few
// connections that stay open. All workers run in one process and take turns, in short rounds and in another order each
// time, so that what else the machine does falls on all of them alike; what counts are the ratios. They are told twice:
// of the medians, and of the quietest rounds, where the least came between.

import { execFileSync } from "node:child_process";
import fs from "node:fs";
import http from "node:http";
import os from "node:os";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { Identity, SERVICE_TOKEN } from "./identity.js";
import { PROOF_KEY, modules, start, text, worker } from "./edge.js";
import { serve } from "./server.js";
import { TOOLS, WORKER, esbuild } from "./tools.js";

const REQUESTS = Number(process.env.REQUESTS ?? 100);
const ROUNDS = Number(process.env.ROUNDS ?? 80);
/// Rounds that only warm up: V8 optimises what has run often.
const WARM_UP = 16;
const STARTS = 7;
const CONNECTIONS = 8;

const EMPTY = `export default { fetch() { return new Response("ok"); } };`;
const EMPTY_PROXY = (url) => `export default { fetch(request) {
  const { pathname, search } = new URL(request.url);
  return fetch("${url}" + pathname + search, request);
} };`;
const JOSE = (keys) => `import { createLocalJWKSet, jwtVerify } from "jose";
const keys = createLocalJWKSet(${JSON.stringify(keys)});
const options = { algorithms: ["RS256"], issuer: "user_service", audience: "trading_platform", typ: "at+jwt" };
export default { async fetch(request) {
  try {
    await jwtVerify(request.headers.get("authorization").slice(7), keys, options);
    return new Response("ok");
  } catch { return new Response("no", { status: 401 }); }
} };`;
// What nobody can do without: the header is read, its bytes are made and WebCrypto verifies a signature.
const SIGNATURE = (jwk) => `const { subtle } = crypto;
const encoder = new TextEncoder();
const algorithm = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
const imported = subtle.importKey("jwk", ${JSON.stringify(jwk)}, algorithm, false, ["verify"]);
const signature = new Uint8Array(256).fill(7);
let key;
export default { fetch(request) {
  if (!key) return imported.then((made) => { key = made; return new Response("ok"); });
  const bytes = encoder.encode(request.headers.get("authorization"));
  return subtle.verify(algorithm.name, key, signature, bytes).then(() => new Response("ok"));
} };`;
const folder = fs.mkdtempSync(path.join(os.tmpdir(), "edge-bench-"));
const quoted = (value) => JSON.stringify(value);
function source(name, code) {
  const file = path.join(folder, `${name}.js`);
  fs.writeFileSync(file, code);
  return [`(name = ${quoted(`${name}.js`)}, esModule = embed ${quoted(path.relative(os.tmpdir(), file))})`];
}

const identity = await Identity.start();
const upstream = await serve((request, response) => {
  request.resume();
  response.end("ok");
});
const keys = { keys: identity.keys.map((key) => key.jwk) };
const variables = {
  IDENTITY_URL: identity.url,
  SERVICE_TOKEN,
  EDGE_PROOF_KEY: PROOF_KEY,
  JWKS_BUNDLE: JSON.stringify(keys),
  ROUTES: JSON.stringify([
    { prefix: "/v1/auth", service: "identity", upstreams: [upstream.url], public: true },
    { prefix: "/v1/portfolio", service: "portfolio", upstreams: [upstream.url] },
    { prefix: "/v1/trading", service: "trading", upstreams: [upstream.url], critical: true },
  ]),
};
/// One file of a worker and what it imports.
function bundled(name, file) {
  const options = ["--bundle", "--format=esm", "--minify", "--platform=browser", `--alias:jose=${path.join(TOOLS, "node_modules/jose/dist/webapi/index.js")}`];
  return source(name, execFileSync(esbuild, [file, ...options]).toString());
}
const joseSource = path.join(folder, "jose-source.js");
fs.writeFileSync(joseSource, JOSE(keys));
// A build that stops early where the variable MEASURE says so.
const measured = modules(path.join(WORKER, "build-measure"));
execFileSync(path.join(WORKER, "build.sh"), ["build-measure", "--features", "measure"], { stdio: "inherit" });

const services = {
  empty: worker(source("empty", EMPTY), []),
  signature: worker(source("signature", SIGNATURE(keys.keys[0])), []),
  jose: worker(bundled("jose", joseSource), []),
  // What `jose` does: a token is verified.
  token: worker(measured, text({ ...variables, MEASURE: "token" })),
  // The whole decision (route, token, policy, revocations, proof), answered like the empty worker instead of forwarded.
  decision: worker(measured, text({ ...variables, MEASURE: "decision" })),
  proxy: worker(source("proxy", EMPTY_PROXY(upstream.url)), []),
  peer: worker(bundled("peer", path.join(import.meta.dirname, "peer.js")), text(variables)),
  edge: worker(modules(), text(variables)),
  // Another build of the worker, to compare with this one.
  ...(process.env.OTHER_BUILD ? { other: worker(modules(path.resolve(process.env.OTHER_BUILD)), text(variables)) } : {}),
};
let server = await start(Object.entries(services));

const agent = new http.Agent({ keepAlive: true, maxSockets: CONNECTIONS });
function get(name, token) {
  return new Promise((resolve, reject) => {
    const options = { agent, port: server.ports.get(name), path: "/v1/portfolio/42", headers: { authorization: `Bearer ${token}` } };
    http.get(options, (response) => {
      response.resume();
      response.on("end", () => (response.statusCode === 200 ? resolve() : reject(new Error(`${name}: ${response.statusCode}`))));
    }).on("error", reject);
  });
}

/// Microseconds that every thread of workerd has run.
function cpu() {
  const tasks = `/proc/${server.pid}/task`;
  let nanoseconds = 0;
  for (const task of fs.readdirSync(tasks)) nanoseconds += Number(fs.readFileSync(`${tasks}/${task}/schedstat`, "utf8").split(" ")[0]);
  return nanoseconds / 1000;
}

/// Microseconds of CPU a request.
async function measure(name, tokens) {
  let next = 0;
  const before = cpu();
  const client = async () => {
    while (next < REQUESTS) await get(name, tokens[next++ % tokens.length]);
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, client));
  return (cpu() - before) / REQUESTS;
}

const sign = (count) => Promise.all(Array.from({ length: count }, () => identity.token()));
const once = await sign(1);
const series = {
  empty: ["empty", () => once],
  "signature alone": ["signature", (fresh) => fresh],
  "jose, first": ["jose", (fresh) => fresh],
  "jose, repeated": ["jose", () => once],
  "token, first": ["token", (fresh) => fresh],
  "token, repeated": ["token", () => once],
  "decision, first": ["decision", (fresh) => fresh],
  "decision, repeated": ["decision", () => once],
  "empty proxy": ["proxy", () => once],
  "peer, first": ["peer", (fresh) => fresh],
  "peer, repeated": ["peer", () => once],
  "edge, first": ["edge", (fresh) => fresh],
  "edge, repeated": ["edge", () => once],
  ...(services.other ? { "other, first": ["other", (fresh) => fresh], "other, repeated": ["other", () => once] } : {}),
};
const results = Object.fromEntries(Object.keys(series).map((name) => [name, []]));
for (let round = -WARM_UP; round < ROUNDS; round += 1) {
  const fresh = await sign(REQUESTS);
  const names = Object.entries(series);
  names.push(...names.splice(0, (round + WARM_UP) % names.length));
  for (const [name, [service, choose]] of names) {
    const cost = await measure(service, choose(fresh));
    if (round >= 0) results[name].push(cost);
  }
}
await server.close();

/// From the start of the process to the first answer, and from when it listens to the first answer, in milliseconds.
async function firstAnswer(name) {
  const token = await identity.token();
  const began = performance.now();
  server = await start([[name, services[name]]]);
  const listening = performance.now();
  await get(name, token);
  const answered = performance.now();
  await server.close();
  return [answered - began, answered - listening];
}
const starts = Object.fromEntries(["empty", "jose", "peer", "edge"].map((name) => [name, []]));
for (let round = 0; round < STARTS; round += 1) {
  for (const name of Object.keys(starts)) starts[name].push(await firstAnswer(name));
}

const sorted = (list) => [...list].sort((a, b) => a - b);
const median = (list) => sorted(list)[Math.floor(list.length / 2)];
/// The middle of the quietest quarter.
const quiet = (list) => sorted(list)[Math.floor(list.length / 8)];
console.log(`${ROUNDS} rounds of ${REQUESTS} requests; load of the machine ${os.loadavg()[0].toFixed(1)} on ${os.cpus().length} cores`);
console.log("CPU of workerd a request, µs       median   quiet   (least to most)");
for (const [name, list] of Object.entries(results)) {
  const [low, high] = [Math.min(...list), Math.max(...list)];
  console.log(`${name.padEnd(32)} ${median(list).toFixed(0).padStart(8)} ${quiet(list).toFixed(0).padStart(7)}   (${low.toFixed(0)} to ${high.toFixed(0)})`);
}
for (const [word, typical] of [["median", median], ["quiet rounds", quiet]]) {
  const added = (name, base) => typical(results[name]) - typical(results[base]);
  const share = (name, of) => (added(name, "empty") / added(of, "empty")).toFixed(2);
  const whole = (name) => added(name, "empty proxy");
  const ofPeer = (name, of) => (whole(name) / whole(of)).toFixed(2);
  console.log(`${word}: jose adds ${added("jose, first", "empty").toFixed(0)} µs to the empty worker; as a share of that, reading the header and verifying a signature adds ${share("signature alone", "jose, first")}, the token alone first ${share("token, first", "jose, first")}, repeated ${share("token, repeated", "jose, first")}, the whole decision ${share("decision, first", "jose, first")} and ${share("decision, repeated", "jose, first")}`);
  for (const name of ["peer", "edge", ...(services.other ? ["other"] : [])]) {
    const [first, repeated] = [`${name}, first`, `${name}, repeated`];
    console.log(`${word}: ${name} adds to an empty proxy: first ${whole(first).toFixed(0)} µs (${ofPeer(first, "peer, first")} of the peer), repeated ${whole(repeated).toFixed(0)} µs (${ofPeer(repeated, "peer, repeated")})`);
  }
  for (const times of ["first", "repeated"]) {
    const shell = whole(`edge, ${times}`) - added(`decision, ${times}`, "empty");
    console.log(`${word}: the shell around the decision, ${times}: ${shell.toFixed(0)} µs (aim 100)`);
  }
}
for (const [name, list] of Object.entries(starts)) {
  const [whole, own] = [0, 1].map((at) => median(list.map((times) => times[at])).toFixed(0));
  console.log(`first answer of a fresh isolate, ${name}: ${own} ms after workerd listens, ${whole} ms after its start`);
}
const wasm = fs.readFileSync(path.join(WORKER, "build/index_bg.wasm"));
console.log(`WebAssembly: ${wasm.length} bytes, ${gzipSync(wasm, { level: 9 }).length} with gzip -9 (aim ${160 * 1024})`);

await identity.close();
await upstream.close();
agent.destroy();
