// The comparator of the benchmark: a worker that does the same work in JavaScript with `jose`, as one would write it with
// care. It verifies the token, decides by route, role and revocation, takes the client's identity headers away and sets
// its own with an HMAC by WebCrypto, sends the request on, and sets the same headers on the response. It reads the same
// variables as the edge worker. What both do only in other cases (API keys, WebSockets, retries) is left out.

import { createLocalJWKSet, jwtVerify } from "jose";
import POLICY from "../../edge/verifier/src/default_policy.json";

const RESERVED = /^(x-(user|session|auth|edge|client|forwarded|original|rewrite)-|x-service-token|x-request-id|x-real-ip|forwarded)/;
const HOP_BY_HOP = new Set([
  "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
  "transfer-encoding", "upgrade", "http2-settings",
]);
const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);
const IDENTITY = [
  "x-user-id", "x-user-email", "x-user-roles", "x-user-scopes", "x-session-id", "x-auth-method", "x-request-id",
  "x-client-address",
];
const ALWAYS = Object.entries({
  "strict-transport-security": "max-age=63072000; includeSubDomains",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy":
    "accelerometer=(), camera=(), display-capture=(), fullscreen=(), geolocation=(), gyroscope=(), microphone=(), " +
    "midi=(), payment=(), publickey-credentials-get=(), screen-wake-lock=(), usb=()",
});
const BY_DEFAULT = Object.entries({
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
});
const OPTIONS = {
  algorithms: ["RS256"], issuer: "user_service", audience: "trading_platform", typ: "at+jwt", clockTolerance: 5,
  requiredClaims: ["sub", "iat", "exp", "jti", "roles", "session_id", "token_type", "auth_time", "amr"],
};
const encoder = new TextEncoder();
let started;

function servicesOf(role, seen = new Set()) {
  if (seen.has(role) || !Object.hasOwn(POLICY, role)) return [];
  seen.add(role);
  const { services = [], inherits = [] } = POLICY[role];
  return [...services, ...inherits.flatMap((parent) => servicesOf(parent, seen))];
}

async function start(env) {
  const secret = Uint8Array.from(atob(env.EDGE_PROOF_KEY.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
  return {
    keys: createLocalJWKSet(JSON.parse(env.JWKS_BUNDLE)),
    routes: JSON.parse(env.ROUTES).sort((a, b) => b.prefix.length - a.prefix.length),
    services: new Map(Object.keys(POLICY).map((role) => [role, new Set(servicesOf(role))])),
    proofKeys: new Map(await Promise.all(JSON.parse(env.ROUTES).map(({ service }) => proofKey(secret, service)))),
    reserved: new Map(),
    revocations: { at: 0, sessions: new Set(), users: new Map() },
    prefix: crypto.randomUUID().slice(0, 8),
    requests: 0,
  };
}

/// The key of one service, derived as the worker does.
async function proofKey(secret, service) {
  const root = await crypto.subtle.importKey("raw", secret, "HKDF", false, ["deriveKey"]);
  const [salt, info] = [encoder.encode("portcullis"), encoder.encode(`edge proof key 1 of ${service}`)];
  const hmac = { name: "HMAC", hash: "SHA-256", length: 256 };
  return [service, await crypto.subtle.deriveKey({ name: "HKDF", hash: "SHA-256", salt, info }, root, hmac, false, ["sign"])];
}

/// The list of revocations, no older than five seconds when it is decided on.
async function revocations(state, env, ctx) {
  const age = Date.now() - state.revocations.at;
  if (age > 3000) {
    state.fetching ??= fetchList(state, env).finally(() => (state.fetching = undefined));
    if (age > 5000) await state.fetching;
    else ctx.waitUntil(state.fetching);
  }
  return state.revocations;
}

async function fetchList(state, env) {
  const at = Date.now();
  // The stand-in of the tests has a plain list, too.
  const headers = { "x-service-token": env.SERVICE_TOKEN, accept: "application/json" };
  const response = await fetch(`${env.IDENTITY_URL}/v1/internal/revocations`, { headers, signal: AbortSignal.timeout(2000) });
  const { sessions, users } = await response.json();
  state.revocations = {
    at,
    sessions: new Set(sessions.map((session) => session.session_id)),
    users: new Map(users.map((user) => [user.user_id, user])),
  };
}

function refuse(status, code, requestId) {
  const body = JSON.stringify({ type: `urn:portcullis:problem:${code}`, title: code, status, detail: code, code, request_id: requestId });
  const headers = new Headers([...ALWAYS, ...BY_DEFAULT, ["content-type", "application/problem+json"], ["x-request-id", requestId]]);
  return new Response(body, { status, headers });
}

function isReserved(state, name) {
  let reserved = state.reserved.get(name);
  if (reserved === undefined) {
    const plain = name.replace(/[^a-z0-9]/g, "-");
    reserved = RESERVED.test(plain) || HOP_BY_HOP.has(plain);
    if (state.reserved.size >= 512) state.reserved.clear();
    state.reserved.set(name, reserved);
  }
  return reserved;
}

const escaped = (text) => encodeURIComponent(text).replaceAll("%40", "@").replaceAll("%3A", ":");

async function prove(state, service, method, target, headers) {
  const time = Math.floor(Date.now() / 1000);
  const nonce = `${state.prefix}-${(state.requests += 1).toString(16)}`;
  const fields = IDENTITY.map((name) => headers.get(name) ?? "");
  const text = ["portcullis-edge-v2", "1", time, nonce, service, method, target, ...fields].join("\n");
  const mac = new Uint8Array(await crypto.subtle.sign("HMAC", state.proofKeys.get(service), encoder.encode(text)));
  let digits = "";
  for (const byte of mac) digits += byte.toString(16).padStart(2, "0");
  return `v2;k=1;t=${time};n=${nonce};${digits}`;
}

export default {
  async fetch(request, env, ctx) {
    started ??= start(env);
    const state = started instanceof Promise ? (started = await started) : started;
    const given = request.headers.get("x-request-id") ?? "";
    const requestId = /^[\w.-]{1,128}$/.test(given) ? given : `${state.prefix}-${(state.requests += 1).toString(16)}`;
    const { pathname, search } = new URL(request.url);
    if (!METHODS.has(request.method)) return refuse(405, "method_not_allowed", requestId);
    if (pathname.includes("//") || /%(2e|2f|5c|25)/i.test(pathname)) return refuse(400, "bad_request", requestId);
    const route = state.routes.find(({ prefix }) => pathname === prefix || pathname.startsWith(`${prefix}/`));
    if (!route) return refuse(404, "not_found", requestId);

    const [scheme, token] = (request.headers.get("authorization") ?? "").split(" ");
    if (scheme.toLowerCase() !== "bearer" || !token) return refuse(401, "authentication_required", requestId);
    let claims;
    try {
      claims = (await jwtVerify(token, state.keys, OPTIONS)).payload;
    } catch {
      return refuse(401, "invalid_token", requestId);
    }
    if (claims.token_type !== "access" || !Array.isArray(claims.roles)) return refuse(401, "invalid_token", requestId);
    const revoked = await revocations(state, env, ctx);
    const cutoff = revoked.users.get(claims.sub);
    if (revoked.sessions.has(claims.session_id) || (cutoff && (claims.epoch ?? 0) < cutoff.epoch && cutoff.except_session_id !== claims.session_id)) {
      return refuse(401, "session_revoked", requestId);
    }
    const opens = (role) => state.services.get(role)?.has(route.service) || state.services.get(role)?.has("*");
    if (!claims.roles.some(opens)) return refuse(403, "forbidden", requestId);

    const headers = new Headers(request.headers);
    for (const name of [...headers.keys()]) if (isReserved(state, name)) headers.delete(name);
    headers.delete("x-api-key");
    headers.set("x-user-id", escaped(claims.sub));
    if (claims.email !== undefined) headers.set("x-user-email", escaped(claims.email));
    headers.set("x-user-roles", claims.roles.map(escaped).join(","));
    headers.set("x-session-id", escaped(claims.session_id));
    headers.set("x-auth-method", "jwt");
    headers.set("x-request-id", requestId);
    const address = request.headers.get("cf-connecting-ip");
    if (address) headers.set("x-client-address", escaped(address));
    const target = pathname + search;
    headers.set("x-edge-proof", await prove(state, route.service, request.method, target, headers));

    const controller = new AbortController();
    const timer = setTimeout(() => controller.abort(), 15_000);
    let upstream;
    try {
      const init = { method: request.method, headers, body: request.body, redirect: "manual", cache: "no-store", signal: controller.signal };
      upstream = await fetch(route.upstreams[0] + target, init);
    } catch {
      return refuse(502, "upstream_unavailable", requestId);
    } finally {
      clearTimeout(timer);
    }
    const response = new Response(upstream.body, upstream);
    for (const name of [...response.headers.keys()]) {
      if (name.startsWith("access-control-") || name.startsWith("x-edge-")) response.headers.delete(name);
    }
    for (const [name, value] of ALWAYS) response.headers.set(name, value);
    for (const [name, value] of BY_DEFAULT) if (!response.headers.has(name)) response.headers.set(name, value);
    response.headers.append("vary", "origin");
    const origin = request.headers.get("origin");
    if (origin && env.ALLOWED_ORIGINS?.split(",").includes(origin)) {
      response.headers.set("access-control-allow-origin", origin);
      response.headers.set("access-control-allow-credentials", "true");
    }
    response.headers.set("x-request-id", requestId);
    return response;
  },
};
