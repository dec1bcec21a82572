// A stand-in for the identity service: it signs tokens, publishes keys and revocations, and knows API keys.

import { revocationPage } from "./revocations.js";
import { jose } from "./tools.js";
import { bodyOf, json, serve } from "./server.js";

export const SERVICE_TOKEN = "service-token-of-the-edge";
const REDEMPTION = /^\/v1\/internal\/approvals\/(apr_[0-9a-f]{32})\/redeem$/;

/// A key for one of `RS256`, `ES256` and `EdDSA`.
export async function newKey(alg = "RS256") {
  const pair = await jose.generateKeyPair(alg, { extractable: true });
  const jwk = await jose.exportJWK(pair.publicKey);
  const kid = await jose.calculateJwkThumbprint(jwk);
  return { ...pair, alg, kid, jwk: { ...jwk, kid, alg, use: "sig" } };
}

export class Identity {
  keys = [];
  /// What was revoked: `{ session }` or `{ user, epoch, except }`, each with `at` in milliseconds.
  revocations = [];
  /// Ids of keys that were withdrawn, whatever is published.
  withdrawn = [];
  /// Ids of users whose broker credentials are frozen, or `everybody`.
  frozen = [];
  apiKeys = new Map();
  /// What people approved, by its id: `{ user, order }`, and by what it was spent.
  approvals = new Map();
  /// What each address answers instead, while a test says so: a status, or "hang", "garbage", "large".
  faults = { jwks: undefined, revocations: undefined, apiKeys: undefined, redemptions: undefined };
  counts = { jwks: 0, revocations: 0, apiKeys: 0, redemptions: 0, refused: 0 };
  /// What isolates told beside their requests for revocations.
  reports = [];
  maxAge = 300;

  static async start() {
    const identity = new Identity();
    identity.keys.push(await newKey());
    identity.http = await serve((request, response) => identity.#answer(request, response));
    return identity;
  }

  get url() {
    return this.http.url;
  }

  close() {
    return this.http.close();
  }

  now = () => Math.floor(Date.now() / 1000);

  revoke(entry) {
    this.revocations.push({ at: Date.now(), ...entry });
  }

  claims(changes = {}) {
    const now = this.now();
    return {
      iss: "user_service",
      aud: "trading_platform",
      sub: "usr_alice",
      iat: now,
      exp: now + 900,
      jti: Math.random().toString(36).slice(2),
      email: "alice@example.com",
      roles: ["user"],
      session_id: "ses_alice",
      token_type: "access",
      auth_time: now,
      amr: ["pwd"],
      ...changes,
    };
  }

  /// A token of ours, or one with other claims, another header or another key.
  async token(changes = {}, { header = {}, key = this.keys.at(-1) } = {}) {
    const claims = this.claims(changes);
    for (const [name, value] of Object.entries(claims)) if (value === undefined) delete claims[name];
    return new jose.SignJWT(claims)
      .setProtectedHeader({ alg: key.alg, typ: "at+jwt", kid: key.kid, ...header })
      .sign(key.privateKey);
  }

  async #answer(request, response) {
    const { pathname } = new URL(request.url, this.url);
    if (pathname === "/v1/auth/.well-known/jwks.json") {
      this.counts.jwks += 1;
      if (await this.#fault(this.faults.jwks, response)) return;
      const headers = { "cache-control": `public, max-age=${this.maxAge}` };
      json(response, 200, { keys: this.keys.map((key) => key.jwk) }, headers);
      return;
    }
    if (request.headers["x-service-token"] !== SERVICE_TOKEN) {
      this.counts.refused += 1;
      json(response, 401, {});
    } else if (pathname === "/v1/internal/revocations") {
      this.counts.revocations += 1;
      const report = request.headers["x-edge-report"];
      if (report !== undefined) this.reports.push(report);
      if (await this.#fault(this.faults.revocations, response)) return;
      if (request.headers.accept === "application/json") {
        const sessions = this.revocations.filter(({ session }) => session).map(({ session }) => ({ session_id: session }));
        json(response, 200, { sessions, users: [] });
        return;
      }
      const { searchParams } = new URL(request.url, this.url);
      const number = (name) => (searchParams.has(name) ? Number(searchParams.get(name)) : undefined);
      const [after, until] = [number("after"), number("until")];
      const standing = after === undefined ? { withdrawn: this.withdrawn, frozen: this.frozen } : {};
      const body = revocationPage(this.revocations, Date.now(), after, until, standing);
      response.writeHead(200, { "content-type": "application/octet-stream", "content-length": body.length }).end(body);
    } else if (pathname === "/v1/internal/api-keys/verify" && request.method === "POST") {
      this.counts.apiKeys += 1;
      const { api_key: key } = JSON.parse(await bodyOf(request));
      if (await this.#fault(this.faults.apiKeys, response)) return;
      json(response, 200, this.apiKeys.get(key) ?? { active: false });
    } else if (REDEMPTION.test(pathname) && request.method === "POST") {
      this.counts.redemptions += 1;
      if (await this.#fault(this.faults.redemptions, response)) return;
      const [, id] = REDEMPTION.exec(pathname);
      const [status, answer] = this.#redeem(id, JSON.parse(await bodyOf(request)), request.headers["idempotency-key"]);
      json(response, status, answer);
    } else {
      json(response, 404, {});
    }
  }

  /// Spends an approval once, or once more for the request that spent it.
  #redeem(id, { user_id: user, ...shown }, key) {
    const refused = (status, code) => [status, { status, code }];
    const approval = this.approvals.get(id);
    if (approval?.user !== user) return refused(404, "not_found");
    const { order, spent } = approval;
    if (JSON.stringify(shown) !== JSON.stringify({ authorization_details: [order] })) return refused(409, "details_mismatch");
    if (spent !== undefined && (key === undefined || spent !== key)) return refused(409, "already_redeemed");
    approval.spent = key ?? "";
    return [200, { user_id: user, order_tag: id.slice(-20) }];
  }

  async #fault(fault, response) {
    if (fault === undefined) return false;
    if (typeof fault === "number") json(response, fault, {});
    else if (fault === "hang") await new Promise((resolve) => response.on("close", resolve));
    else if (fault === "garbage") response.end("<html>down for maintenance</html>");
    else if (fault === "large") response.end(Buffer.alloc(10 * 1024 * 1024, "{"));
    else response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(fault));
    return true;
  }
}

const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

function digits(number, count) {
  let text = "";
  for (let at = 0; at < count; at += 1, number /= 62n) text = DIGITS[Number(number % 62n)] + text;
  return text;
}

/// CRC-32 as in ISO 3309, bit by bit.
function crc32(text) {
  let crc = 0xffffffff;
  for (const byte of Buffer.from(text)) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return (crc ^ 0xffffffff) >>> 0;
}

/// An API key by its description, written a second time to check the first.
export function apiKey(id) {
  const body = `pk_${id.toString(16).padStart(32, "0")}_${digits(BigInt(id) * 7n, 43)}`;
  return body + digits(BigInt(crc32(body)), 6);
}
