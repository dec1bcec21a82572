// The worker in the real workerd, behind it an identity service and upstreams of the test.

import { spawn } from "node:child_process";
import fs from "node:fs";
import http from "node:http";
import os from "node:os";
import path from "node:path";
import { Identity, SERVICE_TOKEN } from "./identity.js";
import { serve } from "./server.js";
import { WORKER, workerd } from "./tools.js";

export const PROOF_KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
export const PAGE = "https://app.example";
const COMPATIBILITY_DATE = /compatibility_date = "(.+)"/.exec(
  fs.readFileSync(path.join(WORKER, "wrangler.toml"), "utf8"),
)[1];

const quoted = (value) => JSON.stringify(String(value));

/// The modules that `edge/worker/build.sh` makes, by the names under which they import each other.
export function modules(build = path.join(WORKER, "build")) {
  return ["index.js", "index_bg.wasm"].map((name) => embedded(name, path.join(build, name)));
}

/// A module of this name, read from this file.
export function embedded(name, file) {
  const kind = name.endsWith(".wasm") ? "wasm" : "esModule";
  return `(name = ${quoted(name)}, ${kind} = embed ${quoted(path.relative(os.tmpdir(), file))})`;
}

export function worker(sources, bindings, { cache } = {}) {
  const outbound = cache ? `, cacheApiOutbound = ${quoted(cache)}` : "";
  return `(modules = [${sources.join(", ")}], compatibilityDate = ${quoted(COMPATIBILITY_DATE)}, bindings = [${bindings.join(", ")}]${outbound})`;
}

export function text(variables) {
  return Object.entries(variables).map(([name, value]) => `(name = ${quoted(name)}, text = ${quoted(value)})`);
}

/// Starts workerd with these services, each on a port of its own choice, and `others` as the configuration writes them. With
/// `inspected` V8 can be asked about its isolates, at the port `inspector`.
export async function start(services, others = [], inspected = false) {
  const file = path.join(fs.mkdtempSync(path.join(os.tmpdir(), "edge-")), "config.capnp");
  // `embed` is relative to the file.
  const up = path.relative(path.dirname(file), os.tmpdir());
  const rebased = services.map(([name, body]) => [name, body.replaceAll('embed "', `embed "${up}/`)]);
  const listed = rebased.map(([name, body]) => `(name = ${quoted(name)}, worker = ${body})`).join(",\n");
  fs.writeFileSync(
    file,
    `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [${[listed, ...others].join(",\n")}, (name = "internet", network = (allow = ["public", "private"]))],
  sockets = [${services.map(([name]) => `(name = ${quoted(name)}, address = "127.0.0.1:0", http = (), service = ${quoted(name)})`).join(", ")}]
);
`,
  );
  const flags = inspected ? ["--inspector-addr=127.0.0.1:0"] : [];
  const child = spawn(workerd, ["serve", file, "--experimental", "--control-fd=3", ...flags], {
    stdio: ["ignore", "pipe", "pipe", "pipe"],
  });
  let log = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (log += data));
  const ports = await new Promise((resolve, reject) => {
    const found = new Map();
    child.stdio[3].on("data", (data) => {
      for (const line of data.toString().trim().split("\n")) {
        const event = JSON.parse(line);
        if (event.event === "listen") found.set(event.socket, event.port);
        if (event.event === "listen-inspector") found.set("inspector", event.port);
        if (found.size === services.length + flags.length) resolve(found);
      }
    });
    child.on("exit", (code) => reject(new Error(`workerd ended with ${code}:\n${log}`)));
  });
  return {
    pid: child.pid,
    ports,
    log: () => log,
    close: () =>
      new Promise((resolve) => {
        child.removeAllListeners("exit");
        child.on("exit", resolve);
        child.kill();
      }),
  };
}

/// One edge with all it needs. `echo` answers every request with what reached it.
export class Edge {
  static async start({ variables = {}, routes = [], limiter, cache, bundle = false, inspected = false, sources = modules() } = {}) {
    const edge = new Edge();
    edge.identity = await Identity.start();
    edge.upstream = await serve(echo);
    edge.other = await serve(echo);
    const all = [
      { prefix: "/v1/portfolio", service: "portfolio", upstreams: [edge.upstream.url, edge.other.url] },
      { prefix: "/v1/trading", service: "trading", upstreams: [edge.upstream.url] },
      { prefix: "/v1/strategy", service: "strategy", upstreams: [edge.upstream.url], critical: true },
      { prefix: "/v1/auth", service: "identity", upstreams: [edge.upstream.url], public: true },
      ...routes.map((route) => ({ ...route, upstreams: route.upstreams ?? [edge.upstream.url] })),
    ];
    const settings = {
      IDENTITY_URL: edge.identity.url,
      SERVICE_TOKEN,
      EDGE_PROOF_KEY: PROOF_KEY,
      ALLOWED_ORIGINS: PAGE,
      ROUTES: JSON.stringify(all),
      ...(bundle ? { JWKS_BUNDLE: JSON.stringify({ keys: edge.identity.keys.map((key) => key.jwk) }) } : {}),
      ...variables,
    };
    const services = [];
    const bindings = text(settings);
    if (limiter) {
      bindings.push(`(name = "RATE_LIMITER", service = (name = "limiter", entrypoint = "Limiter"))`);
      services.push(["limiter", worker([embedded("limiter.js", limiter)], [])]);
    }
    const others = [];
    if (cache) {
      const address = new URL(cache.http.url).host;
      others.push(`(name = "cache", external = (address = ${quoted(address)}, http = ()))`);
    }
    services.unshift(["edge", worker(sources, bindings, { cache: cache && "cache" })]);
    edge.begin = () => start(services, others, inspected);
    await edge.again();
    return edge;
  }

  /// A process that remembers nothing.
  async again() {
    await this.process?.close();
    this.process = await this.begin();
    this.url = `http://127.0.0.1:${this.process.ports.get("edge")}`;
  }

  async close() {
    await this.process.close();
    await Promise.all([this.identity.close(), this.upstream.close(), this.other.close()]);
  }

  /// A request whose path is sent as it is written.
  send(target, { method = "GET", headers = {}, body } = {}) {
    return new Promise((resolve, reject) => {
      const request = http.request(this.url, { method, headers, path: target, agent: false }, async (response) => {
        try {
          const parts = [];
          for await (const part of response) parts.push(part);
          const text = Buffer.concat(parts).toString();
          let json;
          try {
            json = JSON.parse(text);
          } catch {
            json = undefined;
          }
          resolve({ status: response.statusCode, headers: response.headers, text, json });
        } catch (error) {
          reject(error);
        }
      });
      request.on("error", reject);
      request.end(body);
    });
  }

  async as(changes, target, options = {}) {
    const token = typeof changes === "string" ? changes : await this.identity.token(changes);
    return this.send(target, { ...options, headers: { authorization: `Bearer ${token}`, ...options.headers } });
  }
}

async function echo(request, response) {
  const parts = [];
  for await (const part of request) parts.push(part);
  const { method, url, headers, rawHeaders } = request;
  const body = JSON.stringify({ method, url, headers, rawHeaders, body: Buffer.concat(parts).toString() });
  response.writeHead(200, {
    "content-type": "application/json",
    "access-control-allow-origin": "*",
    "x-upstream": String(request.socket.localPort),
  });
  response.end(body);
}
