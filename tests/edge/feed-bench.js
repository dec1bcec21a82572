// What the feed of revocations costs in workerd: one isolate with a million live entries and a thousand more a second,
// beside one whose feed is empty, with the same requests in turns. Prints CPU a request, of a poll and of a check, memory,
// and how long a logout takes to count. Run after `tests/edge/run`; SECONDS makes it longer, RATE changes the logouts a second.

import fs from "node:fs";
import http from "node:http";
import { randomBytes } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { Edge } from "./edge.js";
import { encode, id, key, newestFrom } from "./revocations.js";
import { ws } from "./tools.js";

const RATE = Number(process.env.RATE ?? 1050);
const SECONDS = Number(process.env.SECONDS ?? 60);
const KEPT = 965_000;
const PROBE_EVERY = 700;
const BEGAN = Date.now();

/// Logouts by the second they happened in; what is asked for again is the same.
class Logouts {
  #seconds = new Map();
  /// Sessions of the probes, and when they were ended.
  probes = [];

  constructor(rate) {
    this.rate = rate;
  }

  #second(second) {
    let keys = this.#seconds.get(second);
    if (!keys) {
      const bytes = randomBytes(this.rate * 8);
      keys = Array.from({ length: this.rate }, (_, at) => bytes.readBigUInt64LE(at * 8));
      this.#seconds.set(second, keys);
    }
    return keys;
  }

  page(now, after = newestFrom(now), until = now) {
    const end = Math.min(until, now);
    const keys = [];
    for (let second = Math.floor(after / 1000); second * 1000 < end; second += 1) {
      const [from, to] = [Math.max(after - second * 1000, 0), Math.min(end - second * 1000, 1000)];
      keys.push(...this.#second(second).slice(Math.floor((from * this.rate) / 1000), Math.floor((to * this.rate) / 1000)));
    }
    for (const { session, at } of this.probes) if (at >= after && at < end) keys.push(key(session));
    return encode(after, end, now, BigUint64Array.from(keys).sort());
  }
}

function replaceFeed(edge, logouts) {
  const [answer] = edge.identity.http.server.listeners("request");
  edge.identity.http.server.removeAllListeners("request");
  let pages = 0;
  edge.identity.http.server.on("request", (request, response) => {
    const { pathname, searchParams } = new URL(request.url, edge.identity.url);
    if (pathname !== "/v1/internal/revocations") return answer(request, response);
    pages += 1;
    const number = (name) => (searchParams.has(name) ? Number(searchParams.get(name)) : undefined);
    const body = logouts.page(Date.now(), number("after"), number("until"));
    return response.writeHead(200, { "content-type": "application/octet-stream", "content-length": body.length }).end(body);
  });
  return () => pages;
}

function cpu(pid) {
  let nanoseconds = 0;
  for (const task of fs.readdirSync(`/proc/${pid}/task`)) nanoseconds += Number(fs.readFileSync(`/proc/${pid}/task/${task}/schedstat`, "utf8").split(" ")[0]);
  return nanoseconds / 1000;
}

/// What V8 says of the isolate, in MB: its heap and its buffers. The memory of WebAssembly is not among them, and shows in that
/// of the process alone.
async function isolate(edge) {
  const port = edge.process.ports.get("inspector");
  const [{ webSocketDebuggerUrl }] = await (await fetch(`http://127.0.0.1:${port}/json`)).json();
  const inspector = new ws.WebSocket(webSocketDebuggerUrl);
  await new Promise((open, failed) => inspector.once("open", open).once("error", failed));
  const said = new Promise((resolve) => inspector.once("message", (data) => resolve(JSON.parse(data).result)));
  inspector.send(JSON.stringify({ id: 1, method: "Runtime.getHeapUsage" }));
  const { usedSize, backingStorageSize } = await said;
  inspector.close();
  return { heap: usedSize / 2 ** 20, buffers: backingStorageSize / 2 ** 20 };
}
const memory = (pid) => Number(/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${pid}/status`, "utf8"))[1]) / 1024;

const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });
function get(edge, token) {
  return new Promise((resolve, reject) => {
    http.get(`${edge.url}/v1/strategy`, { agent, headers: { authorization: `Bearer ${token}` } }, (response) => {
      response.resume();
      response.on("end", () => resolve(response.statusCode));
    }).on("error", reject);
  });
}

const waits = [];
async function probe(edge, logouts, name) {
  const session = id("ses", name);
  const token = await edge.identity.token({ session_id: session, iat: edge.identity.now() - 300 });
  await get(edge, token);
  const at = Date.now();
  logouts.probes.push({ session, at });
  while ((await get(edge, token)) !== 401) await pause(50);
  waits.push(Date.now() - at);
}

const sides = {};
for (const [name, rate] of [["empty", 0], ["full", RATE]]) {
  const edge = await Edge.start({ inspected: true });
  const logouts = new Logouts(rate);
  const pages = replaceFeed(edge, logouts);
  const old = await edge.identity.token({ iat: edge.identity.now() - 880, exp: edge.identity.now() + 900 });
  const fresh = performance.now();
  const status = await get(edge, old);
  console.log(`${name}: the first request of a fresh isolate, a critical route and a token of a quarter of an hour: ${status} after ${(performance.now() - fresh).toFixed(0)} ms and ${pages()} pages`);
  sides[name] = { edge, logouts, pages, old, costs: [] };
}

const probes = [];
for (let round = 0; Date.now() - BEGAN < SECONDS * 1000; round += 1) {
  for (const side of Object.values(sides)) {
    const [before, pages] = [cpu(side.edge.process.pid), side.pages()];
    const end = Date.now() + 700;
    let requests = 0;
    while (Date.now() < end) {
      const status = await get(side.edge, side.old);
      if (status !== 200) throw new Error(`a critical route answered ${status}`);
      requests += 1;
    }
    side.costs.push({ cost: (cpu(side.edge.process.pid) - before) / requests, requests, polled: side.pages() > pages });
  }
  if (round * 1400 % PROBE_EVERY < 1400) probes.push(probe(sides.full.edge, sides.full.logouts, `probe ${round}`));
}
await Promise.all(probes);

const sorted = (list) => [...list].sort((a, b) => a - b);
const median = (list) => sorted(list)[Math.floor(list.length / 2)];
const of = (name, polled) => median(sides[name].costs.filter((one) => one.polled === polled).map(({ cost }) => cost));
const requests = median(sides.full.costs.map(({ requests }) => requests));
for (const [word, polled] of [["rounds without a poll", false], ["rounds with a poll", true]]) {
  console.log(`CPU a request, ${word} (${requests} requests each): empty ${of("empty", polled).toFixed(0)} µs, full ${of("full", polled).toFixed(0)} µs, ratio ${(of("full", polled) / of("empty", polled)).toFixed(3)}`);
}
const all = (name) => sides[name].costs.reduce((sum, { cost, requests }) => sum + cost * requests, 0) / sides[name].costs.reduce((sum, { requests }) => sum + requests, 0);
console.log(`CPU a request over everything: empty ${all("empty").toFixed(0)} µs, full ${all("full").toFixed(0)} µs, ratio ${(all("full") / all("empty")).toFixed(3)}`);
const [empty, full] = ["empty", "full"].map((name) => memory(sides[name].edge.process.pid));
console.log(`memory of workerd: empty ${empty.toFixed(0)} MB, full ${full.toFixed(0)} MB with ${Math.round((RATE * KEPT) / 1000)} live entries: ${(full - empty).toFixed(0)} MB more`);
for (const [name, { edge }] of Object.entries(sides)) {
  const { heap, buffers } = await isolate(edge);
  console.log(`the isolate of ${name}, without WebAssembly: ${heap.toFixed(1)} MB of heap and ${buffers.toFixed(1)} MB of buffers`);
}
console.log(`logout to refusal, ${waits.length} logouts: median ${median(waits)} ms, p99 ${sorted(waits)[Math.floor(waits.length * 0.99)]} ms`);
await Promise.all(Object.values(sides).map(({ edge }) => edge.close()));
agent.destroy();
