// The body of the edge worker: it reads requests, fetches and streams. Every decision is the gate's, in WebAssembly.

import module from "../build/portcullis_edge_bg.wasm";
import { __wbg_reset_state, initSync, Edge, answer_headers, reserved } from "../build/portcullis_edge.js";
import { describe } from "./describe.js";
import { Issuer } from "./issuer.js";
import { Identity } from "./identity.js";
import { Proxy } from "./proxy.js";
import { broken, toResponse } from "./answers.js";
import { variables } from "./variables.js";

/// More rounds than any honest request takes: keys twice, revocations, API key, signature.
const MAX_ROUNDS = 8;

/// One gate for all requests of an isolate, made when the first one brings the environment.
let instance;

class Instance {
  constructor(env) {
    this.issuer = new Issuer();
    const name = crypto.randomUUID().replaceAll("-", "").slice(0, 16);
    this.edge = new Edge(variables(env), name, Date.now(), this.issuer);
    const addresses = JSON.parse(this.edge.addresses());
    this.issuer.serve(this.edge, addresses.jwks);
    this.identity = new Identity(this.edge, addresses, env.SERVICE_TOKEN);
    this.proxy = new Proxy(this.edge, reserved, JSON.parse(answer_headers()));
  }
}

export default {
  fetch(request, env, ctx) {
    try {
      instance ??= start(env);
      const ask = describe(request);
      const now = Date.now();
      const verdict = instance.edge.admit(ask, now, now);
      const work = { instance, request, env, ctx, ask, askedAt: now };
      const answer = follow(work, verdict, 0);
      return answer instanceof Promise ? answer.catch((error) => failed(error)) : answer;
    } catch (error) {
      return failed(error);
    }
  },
};

function start(env) {
  initSync({ module });
  return new Instance(env);
}

/// Does what a verdict says. Only what must wait is a promise; no verdict yet means that a signature is being verified.
function follow(work, verdict, round) {
  if (verdict === undefined) {
    const { issuer, edge } = work.instance;
    return issuer.outcome((ticket, isValid) => follow(work, edge.resume(ticket, isValid), round + 1));
  }
  const line = verdict.indexOf("\n");
  const head = line < 0 ? verdict : verdict.slice(0, line);
  if (head.length > 1) {
    if (head.includes("k")) work.instance.issuer.refresh(work.ctx);
    if (head.includes("l")) work.instance.identity.refresh(work.ctx);
  }
  const rest = line < 0 ? "" : verdict.slice(line + 1);
  if (round > MAX_ROUNDS) return refuse(work, "unavailable");
  switch (head[0]) {
    case "A":
      return toResponse(rest);
    case "F":
      return work.instance.proxy.forward(work, rest);
    case "K":
      return again(work, round, work.instance.issuer.wait(Number(rest), work.ctx));
    case "R":
      return again(work, round, work.instance.identity.wait(work.ctx));
    case "P":
      return again(work, round, work.instance.identity.lookUp(work));
    case "Q":
      return again(work, round, Promise.resolve());
    default:
      throw new Error("a verdict nobody knows");
  }
}

/// Asks the same question once more when what it needed is there. What was needed may say why the request has to be
/// refused.
function again(work, round, needed) {
  return needed.then((code) => {
    if (code !== undefined) return refuse(work, code);
    const verdict = work.instance.edge.admit(work.ask, work.askedAt, Date.now());
    return follow(work, verdict, round + 1);
  });
}

function refuse(work, code) {
  const id = work.request.headers.get("x-request-id") ?? "";
  return toResponse(work.instance.edge.answer(code, work.ask, id));
}

/// A fault of ours, or a configuration that cannot be used. After a trap the memory of the gate is not to be trusted:
/// the next request begins with a new one.
function failed(error) {
  console.error("portcullis edge:", error instanceof Error ? error.stack : error);
  if (error instanceof WebAssembly.RuntimeError) {
    __wbg_reset_state();
    instance = undefined;
  }
  return broken(typeof error === "string" ? 503 : 500);
}
