// Tokens of every algorithm an issuer may choose, and of none it has not: the key decides, never the token.

import assert from "node:assert/strict";
import { createHmac, sign } from "node:crypto";
import { after, before, test } from "node:test";
import { Edge } from "./edge.js";
import { newKey } from "./identity.js";
import { jose } from "./tools.js";

const ALGORITHMS = ["RS256", "ES256", "EdDSA"];
const keys = {};
let edge;
before(async () => {
  edge = await Edge.start({ variables: { REVOCATION_POLL: "0" } });
  for (const alg of ALGORITHMS) keys[alg] = await newKey(alg);
  edge.identity.keys = Object.values(keys);
});
after(() => edge.close());

const status = async (token) => (await edge.as(token, "/v1/portfolio")).status;
const base64url = (bytes) => Buffer.from(bytes).toString("base64url");

/// A token with any header, signed with any key by the rules of that key.
function signed(header, key, options = {}) {
  const head = base64url(JSON.stringify({ typ: "at+jwt", kid: key.kid, ...header }));
  const input = `${head}.${base64url(JSON.stringify(edge.identity.claims()))}`;
  const digest = key.alg === "EdDSA" ? null : "sha256";
  const signature = sign(digest, Buffer.from(input), { key: key.privateKey, dsaEncoding: "ieee-p1363", ...options });
  return `${input}.${base64url(signature)}`;
}

for (const alg of ALGORITHMS) {
  test(`${alg}: a good token is admitted at once and again, and no other`, async () => {
    const token = await edge.identity.token({}, { key: keys[alg] });
    for (let round = 0; round < 3; round += 1) assert.equal(await status(token), 200);
    assert.equal(await status(signed({ alg }, keys[alg])), 200, "signed by another library");
    const mallory = await newKey(alg);
    assert.equal(await status(await edge.identity.token({}, { key: { ...mallory, kid: keys[alg].kid } })), 401);
    const [head, payload, signature] = token.split(".");
    const damaged = Buffer.from(signature, "base64url");
    damaged[5] ^= 1;
    assert.equal(await status(`${head}.${payload}.${base64url(damaged)}`), 401);
    assert.equal(await status(`${head}.${base64url(JSON.stringify(edge.identity.claims({ roles: ["admin"] })))}.${signature}`), 401);
    assert.equal(await status(`${head}.${payload}.${base64url(new Uint8Array(damaged.length))}`), 401, "all zero");
  });

  test(`a token may not choose another algorithm than that of its ${alg} key`, async () => {
    for (const other of [...ALGORITHMS.filter((name) => name !== alg), "none", "HS256", "ES384", "PS256", "Ed25519", alg.toLowerCase()]) {
      assert.equal(await status(signed({ alg: other }, keys[alg])), 401, `${other} with the key and the signature of ${alg}`);
    }
    for (const foreign of ALGORITHMS.filter((name) => name !== alg)) {
      for (const name of ALGORITHMS) {
        const token = signed({ alg: name, kid: keys[alg].kid }, keys[foreign]);
        assert.equal(await status(token), 401, `${name} with the id of ${alg}, signed by ${foreign}`);
      }
    }
    const [, payload] = signed({ alg }, keys[alg]).split(".");
    const head = base64url(JSON.stringify({ alg: "HS256", typ: "at+jwt", kid: keys[alg].kid }));
    const { x, n } = keys[alg].jwk;
    for (const secret of [await jose.exportSPKI(keys[alg].publicKey), Buffer.from(x ?? n, "base64url")]) {
      const mac = createHmac("sha256", secret).update(`${head}.${payload}`).digest("base64url");
      assert.equal(await status(`${head}.${payload}.${mac}`), 401, "an HMAC with the public key");
    }
  });
}

test("an ES256 signature in DER is none (RFC 7518 section 3.4)", async () => {
  assert.equal(await status(signed({ alg: "ES256" }, keys.ES256, { dsaEncoding: "der" })), 401);
});
