// Sends a request on, and its answer back: bodies stream both ways, WebSockets pass through.

import { toResponse } from "./answers.js";

/// An upstream that failed is tried last for this long.
const DISTRUST = 10_000;
/// Answers with which a gateway says that its service is not there.
const ABSENT = new Set([502, 503, 504]);
const MAX_NAMES = 512;

export class Proxy {
  #edge;
  #isReserved;
  #names = new Map();
  #failedAt = new Map();
  #always;
  #byDefault;

  constructor(edge, isReserved, [always, byDefault]) {
    this.#edge = edge;
    this.#isReserved = isReserved;
    this.#always = always;
    this.#byDefault = byDefault;
  }

  async forward({ request, env, ask }, text) {
    const lines = text.split("\n");
    const [flags, timeout, upstreams, target, rateKey, requestId, answerHeaders] = lines;
    const ownAnswer = (code) => toResponse(this.#edge.answer(code, ask, requestId));
    if (env.RATE_LIMITER) {
      const { success } = await env.RATE_LIMITER.limit({ key: rateKey });
      if (!success) return ownAnswer("too_many_attempts");
    }
    const firstRequestHeader = 7 + 2 * Number(answerHeaders);
    const init = {
      method: request.method,
      headers: this.#headers(request, flags, lines, firstRequestHeader),
      body: request.body,
      // A redirect is the client's to follow: followed here it would carry the caller's identity elsewhere.
      redirect: "manual",
    };
    // What is about somebody is never answered from a cache, nor kept in one.
    if (flags.includes("p")) init.cache = "no-store";
    const all = this.#inOrder(upstreams.split(" "));
    const candidates = flags.includes("i") && !request.body && !flags.includes("w") ? all : all.slice(0, 1);
    let code = "upstream_unavailable";
    for (const [at, upstream] of candidates.entries()) {
      const attempt = await this.#attempt(upstream + target, init, Number(timeout));
      const isLast = at === candidates.length - 1;
      if (attempt.response && (isLast || !ABSENT.has(attempt.response.status))) {
        if (!ABSENT.has(attempt.response.status)) this.#failedAt.delete(upstream);
        return this.#answer(attempt.response, requestId, lines.slice(7, firstRequestHeader));
      }
      this.#failedAt.set(upstream, Date.now());
      await attempt.response?.body?.cancel();
      code = attempt.code ?? code;
    }
    return ownAnswer(code);
  }

  /// The time limit ends with the beginning of the answer: how long the rest may take is the service's business.
  async #attempt(url, init, timeout) {
    const controller = new AbortController();
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      controller.abort();
    }, timeout);
    try {
      return { response: await fetch(url, { ...init, signal: controller.signal }) };
    } catch (error) {
      console.warn("portcullis edge: upstream failed:", new URL(url).origin, isLate ? "timeout" : String(error));
      return { code: isLate ? "upstream_timeout" : "upstream_unavailable" };
    } finally {
      clearTimeout(timer);
    }
  }

  /// The client's headers without those that are not its to send, and what the edge says.
  #headers(request, flags, lines, first) {
    const headers = new Headers(request.headers);
    const nominated = headers.get("connection")?.split(",") ?? [];
    for (const name of [...headers.keys()]) if (this.#drops(name)) headers.delete(name);
    for (const name of nominated) if (/^[\w-]+$/.test(name.trim())) headers.delete(name.trim());
    // On a route of a service the key has done its work; handing it on would give every service the power to use it. On
    // a public route it may be meant for the service.
    if (flags.includes("p")) headers.delete("x-api-key");
    if (flags.includes("w")) headers.set("upgrade", "websocket");
    for (let at = first; at + 1 < lines.length; at += 2) headers.set(lines[at], lines[at + 1]);
    return headers;
  }

  /// The gate decides on names; clients use few of them, so that its answers are worth keeping.
  #drops(name) {
    let drops = this.#names.get(name);
    if (drops === undefined) {
      drops = this.#isReserved(name);
      if (this.#names.size >= MAX_NAMES) this.#names.clear();
      this.#names.set(name, drops);
    }
    return drops;
  }

  #inOrder(upstreams) {
    if (upstreams.length === 1 || this.#failedAt.size === 0) return upstreams;
    const now = Date.now();
    const isTrusted = (upstream) => now - (this.#failedAt.get(upstream) ?? -Infinity) > DISTRUST;
    return [...upstreams.filter(isTrusted), ...upstreams.filter((upstream) => !isTrusted(upstream))];
  }

  #answer(upstream, requestId, own) {
    if (upstream.webSocket) return upstream;
    const answer = new Response(upstream.body, upstream);
    const headers = answer.headers;
    for (const name of [...headers.keys()]) {
      // Who may read an answer is decided here, and a service's own ideas would contradict it.
      if (name.startsWith("access-control-") || name.startsWith("x-edge-")) headers.delete(name);
    }
    for (const [name, value] of this.#always) headers.set(name, value);
    for (const [name, value] of this.#byDefault) if (!headers.has(name)) headers.set(name, value);
    for (let at = 0; at + 1 < own.length; at += 2) {
      if (own[at] === "vary") headers.append("vary", own[at + 1]);
      else headers.set(own[at], own[at + 1]);
    }
    headers.set("x-request-id", requestId);
    return answer;
  }
}
