// What a request costs in workerd: an empty worker, `jose`, and this one, with the same key and tokens.
//
// CPU is the time the process of workerd spent, from /proc, for a number of requests over a few connections that stay
// open. All workers run in one process and take turns, round after round, so that what else the machine does falls on
// all of them alike; what counts are the ratios of the medians.

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

const REQUESTS = Number(process.env.REQUESTS ?? 1500);
const ROUNDS = Number(process.env.ROUNDS ?? 7);
const CONNECTIONS = 8;
const TICKS = Number(execFileSync("getconf", ["CLK_TCK"]));

const EMPTY = `export default { fetch() { return new Response("ok"); } };`;
const EMPTY_PROXY = (url) => `export default { fetch(request) {
  const { pathname, search } = new URL(request.url);
  return fetch("${url}" + pathname + search, request);
} };`;
const JOSE = (keys) => `import { createLocalJWKSet, jwtVerify } from "${path.join(TOOLS, "node_modules/jose/dist/webapi/index.js")}";
const keys = createLocalJWKSet(${JSON.stringify(keys)});
const options = { algorithms: ["RS256"], issuer: "user_service", audience: "trading_platform", typ: "at+jwt" };
export default { async fetch(request) {
  try {
    await jwtVerify(request.headers.get("authorization").slice(7), keys, options);
    return new Response("ok");
  } catch { return new Response("no", { status: 401 }); }
} };`;
// The whole decision (route, token, policy, revocations, proof) answered like the empty worker instead of forwarded.
const DECISION = `import module from "../build/portcullis_edge_bg.wasm";
import { initSync, Edge } from "../build/portcullis_edge.js";
import { describe } from "./describe.js";
import { variables } from "./variables.js";
import { Issuer } from "./issuer.js";
import { Identity } from "./identity.js";
let edge, issuer, identity;
export default { fetch(request, env, ctx) {
  if (!edge) {
    initSync({ module });
    issuer = new Issuer();
    edge = new Edge(variables(env), "bench", Date.now(), issuer);
    const addresses = JSON.parse(edge.addresses());
    issuer.serve(edge, addresses.jwks);
    identity = new Identity(edge, addresses, env.SERVICE_TOKEN);
  }
  const ask = describe(request);
  const now = Date.now();
  const follow = (signature) => {
    const verdict = edge.admit(ask, signature, now, Date.now());
    const head = verdict.slice(0, 3);
    if (head[1] === "l" || head[2] === "l") identity.refresh(ctx);
    switch (head[0]) {
      case "F": return new Response("ok");
      case "S": return issuer.outcome().then(follow);
      case "R": return identity.wait(ctx).then(() => follow(0));
      default: return new Response(verdict, { status: 401 });
    }
  };
  return follow(0);
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
const joseSource = path.join(folder, "jose-source.js");
fs.writeFileSync(joseSource, JOSE(keys));
const bundled = execFileSync(esbuild, [joseSource, "--bundle", "--format=esm", "--minify", "--platform=browser"]).toString();
// The decision's module takes the place of js/index.js, beside the files it imports.
const [, ...files] = modules();
const decision = source("decision", DECISION)[0].replace('"decision.js"', '"js/decision.js"');

const began = process.hrtime.bigint();
const server = await start([
  ["empty", worker(source("empty", EMPTY), [])],
  ["jose", worker(source("jose", bundled), [])],
  ["decision", worker([decision, ...files], text(variables))],
  ["proxy", worker(source("proxy", EMPTY_PROXY(upstream.url)), [])],
  ["edge", worker(modules(), text(variables))],
]);
const started = Number(process.hrtime.bigint() - began) / 1e6;

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

function cpu() {
  const fields = fs.readFileSync(`/proc/${server.pid}/stat`, "utf8").split(") ")[1].split(" ");
  return ((Number(fields[11]) + Number(fields[12])) / TICKS) * 1e6;
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

const first = {};
for (const name of ["empty", "jose", "decision", "edge"]) {
  const token = await identity.token();
  const from = process.hrtime.bigint();
  await get(name, token);
  first[name] = Number(process.hrtime.bigint() - from) / 1e6;
}

const sign = (count) => Promise.all(Array.from({ length: count }, () => identity.token()));
const once = await sign(1);
const series = {
  empty: ["empty", () => once],
  "jose, first": ["jose", (fresh) => fresh],
  "jose, repeated": ["jose", () => once],
  "decision, first": ["decision", (fresh) => fresh],
  "decision, repeated": ["decision", () => once],
  "empty proxy": ["proxy", () => once],
  "edge, first": ["edge", (fresh) => fresh],
  "edge, repeated": ["edge", () => once],
};
const results = Object.fromEntries(Object.keys(series).map((name) => [name, []]));
for (let round = 0; round <= ROUNDS; round += 1) {
  for (const [name, [service, choose]] of Object.entries(series)) {
    const cost = await measure(service, choose(name.endsWith("first") ? await sign(REQUESTS) : once));
    // The first round warms up.
    if (round > 0) results[name].push(cost);
  }
}

const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];
const cost = Object.fromEntries(Object.entries(results).map(([name, list]) => [name, median(list)]));
console.log(`${ROUNDS} rounds of ${REQUESTS} requests; load of the machine ${os.loadavg()[0].toFixed(1)} on ${os.cpus().length} cores`);
for (const [name, list] of Object.entries(results)) {
  const [low, high] = [Math.min(...list), Math.max(...list)];
  console.log(`${name.padEnd(20)} ${cost[name].toFixed(0).padStart(5)} µs  (${low.toFixed(0)} to ${high.toFixed(0)})`);
}
const added = (name, base = "empty") => cost[name] - cost[base];
const ratio = (name) => (added(name) / added("jose, first")).toFixed(2);
console.log(`above the empty worker, as a share of what jose adds: first ${ratio("decision, first")}, repeated ${ratio("decision, repeated")}`);
console.log(`the whole worker above an empty proxy: first ${added("edge, first", "empty proxy").toFixed(0)} µs, repeated ${added("edge, repeated", "empty proxy").toFixed(0)} µs`);
console.log("first response of a fresh isolate, ms:", Object.entries(first).map(([name, ms]) => `${name} ${ms.toFixed(1)}`).join(", "), `(workerd itself ${started.toFixed(0)})`);
const wasm = fs.readFileSync(path.join(WORKER, "build/portcullis_edge_bg.wasm"));
console.log(`WebAssembly: ${wasm.length} bytes, ${gzipSync(wasm, { level: 9 }).length} compressed`);

await server.close();
await identity.close();
await upstream.close();
agent.destroy();
