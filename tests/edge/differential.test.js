// A hundred thousand damaged tokens, judged here and by `jose`: none that we accept may be refused there.

import assert from "node:assert/strict";
import { createHash, sign } from "node:crypto";
import { test } from "node:test";
import { gate } from "./gate.js";
import { newKey } from "./identity.js";
import { jose } from "./tools.js";

const TOKENS = 100_000;
/// Every so manieth is signed as it is, so that more than the signature speaks against it.
const SIGNED_EVERY = 20;
const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);

/// Numbers that only look random: a run is repeated by its seed.
function* numbers(seed) {
  for (let count = 0; ; count += 1) {
    const block = createHash("sha256").update(`${seed}:${count}`).digest();
    for (let at = 0; at < 32; at += 4) yield block.readUInt32BE(at);
  }
}
const stream = numbers(seed);
const below = (limit) => stream.next().value % limit;
const pick = (list) => list[below(list.length)];

const base64url = (text) => Buffer.from(text).toString("base64url");
const ODD = ["=", ".", "-", "_", "A", "e", "9", "+", "/", "%", "é", "\u0000", "~", " "];

function damage(text) {
  const at = below(text.length);
  switch (below(6)) {
    case 0:
      return text.slice(0, at) + pick(ODD) + text.slice(at + 1);
    case 1:
      return text.slice(0, at) + pick(ODD) + text.slice(at);
    case 2:
      return text.slice(0, at) + text.slice(at + 1 + below(4));
    case 3:
      return text.slice(0, at) + String.fromCharCode(text.charCodeAt(at) ^ (1 << below(6))) + text.slice(at + 1);
    case 4: {
      const parts = text.split(".");
      [parts[0], parts[below(parts.length)]] = [parts[below(parts.length)], parts[0]];
      return parts.join(".");
    }
    default:
      return pick([`${text}.`, `.${text}`, `${text}=`, text + text, text.slice(0, at), `${text}.${text.slice(at)}`]);
  }
}

const VALUES = ["null", "1", "-1", "1e9", "1e400", "1.5", '""', '"x"', "[]", "{}", "true", '["trading_platform"]', '"RS256"', '"at+jwt"', '["exp"]', "4102444800", '"4102444800"'];
const NAMES = ["exp", "nbf", "iat", "iss", "aud", "sub", "alg", "typ", "kid", "crit", "b64", "zip", "x", "roles", "email", "jwk", "jku", "token_type"];

/// Changes JSON as text, where parsers differ: members twice, odd values, escapes, blanks.
function damageJson(json) {
  const member = () => `${JSON.stringify(pick(NAMES))}:${pick(VALUES)}`;
  switch (below(7)) {
    case 0:
      return json.replace(/}$/, `,${member()}}`);
    case 1:
      return json.replace("{", `{${member()},`);
    case 2: {
      const all = [...json.matchAll(/"(\w+)":("[^"]*"|\[[^\]]*\]|\d+)/g)];
      const [whole, name] = pick(all);
      return json.replace(whole, `"${name}":${pick(VALUES)}`);
    }
    case 3:
      return json.replace(/"(\w)(\w+)":/, (_, first, rest) => `"\\u00${first.charCodeAt(0).toString(16)}${rest}":`);
    case 4:
      return ` ${json}${pick([" ", "\n", "\t", "\u00a0", "x", "{}", "\u0000", ""])}`;
    case 5: {
      const all = [...json.matchAll(/,?"\w+":("[^"]*"|\[[^\]]*\]|\d+)/g)];
      return json.replace(pick(all)[0], "").replace("{,", "{");
    }
    default:
      return pick([`[${json}]`, `\ufeff${json}`, json.replaceAll('"', "'"), json.slice(0, -1), json]);
  }
}

test(`${TOKENS} damaged tokens (SEED=${seed})`, { timeout: 1_800_000 }, async () => {
  const key = await newKey();
  const jwks = jose.createLocalJWKSet({ keys: [key.jwk] });
  const { admits, close } = await gate([key.jwk]);
  const now = Math.floor(Date.now() / 1000);
  const header = JSON.stringify({ alg: "RS256", typ: "at+jwt", kid: key.kid });
  const payload = JSON.stringify({
    iss: "user_service", aud: "trading_platform", sub: "usr_a", iat: now, exp: now + 900, jti: "j", email: "a@example.com",
    roles: ["user"], session_id: "ses_a", token_type: "access", auth_time: now, amr: ["pwd"],
  });
  const signed = (head, body) => {
    const input = `${base64url(head)}.${base64url(body)}`;
    return `${input}.${sign("sha256", Buffer.from(input), key.privateKey).toString("base64url")}`;
  };
  const jose_accepts = async (token) => {
    try {
      await jose.jwtVerify(token, jwks, {
        algorithms: ["RS256"],
        issuer: "user_service",
        audience: "trading_platform",
        typ: "at+jwt",
        clockTolerance: 5,
      });
      return true;
    } catch {
      return false;
    }
  };
  const good = signed(header, payload);
  assert.ok((await admits(good)) && (await jose_accepts(good)), "both accept a good token");

  const verdicts = { both: 0, neither: 0, "jose alone": 0 };
  for (let count = 0; count < TOKENS; count += 1) {
    let token;
    if (count % SIGNED_EVERY === 0) {
      token = below(2) ? signed(damageJson(header), payload) : signed(header, damageJson(payload));
    } else {
      token = damage(good);
      if (below(3) === 0) token = damage(token);
    }
    // A header line cannot hold these, and HTTP takes blanks off its ends.
    if (/[^\t\x20-\x7e\x80-\xff]/.test(token) || token !== token.trim()) continue;
    const [ours, theirs] = await Promise.all([admits(token), jose_accepts(token)]);
    assert.ok(!ours || theirs, `SEED=${seed}: we accept what jose refuses: ${token}`);
    verdicts[ours ? "both" : theirs ? "jose alone" : "neither"] += 1;
  }
  await close();
  console.log(verdicts);
  assert.ok(verdicts.both > 50, "some damage does no harm, and both know it");
});
