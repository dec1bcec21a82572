// Who passes and who does not, and what each is told.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { Edge, PAGE } from "./edge.js";
import { apiKey, newKey } from "./identity.js";
import { isProven } from "./proof.js";
import { jose } from "./tools.js";

let edge;
before(async () => {
  edge = await Edge.start({
    routes: [
      { prefix: "/v1/portfolio/admin", service: "monitoring" },
      { prefix: "/v1/portfolio/reports", service: "portfolio", permission: "portfolio:report" },
      { prefix: "/v1/trading/orders", service: "trading", permission: "trading:place" },
      { prefix: "/public", service: "web", public: true },
    ],
  });
});
after(() => edge.close());

function assertProblem(answer, status, code) {
  assert.equal(answer.status, status, answer.text);
  assert.equal(answer.headers["content-type"], "application/problem+json");
  const { type, title, detail, request_id: id } = answer.json;
  assert.deepEqual(
    [answer.json.code, answer.json.status, type, id],
    [code, status, `urn:portcullis:problem:${code}`, answer.headers["x-request-id"]],
  );
  assert.ok(title && detail && id);
  assert.equal(/^Bearer /.test(answer.headers["www-authenticate"] ?? ""), status === 401);
  assert.equal("retry-after" in answer.headers, status === 429 || status === 503);
}

/// Nothing of what is refused may reach a service.
async function refused(request, status, code) {
  const reached = edge.upstream.seen.length + edge.other.seen.length;
  assertProblem(await request, status, code);
  assert.equal(edge.upstream.seen.length + edge.other.seen.length, reached, "it reached a service");
}

describe("tokens", () => {
  test("alice is admitted, at once and again", async () => {
    const token = await edge.identity.token();
    for (let round = 0; round < 3; round += 1) {
      const answer = await edge.as(token, "/v1/portfolio/42?x=%20&y", { method: "POST", body: "hello" });
      assert.equal(answer.status, 200);
      const { method, url, body, headers } = answer.json;
      assert.deepEqual([method, url, body], ["POST", "/v1/portfolio/42?x=%20&y", "hello"]);
      assert.equal(headers.authorization, `Bearer ${token}`, "services verify the token themselves");
      assert.equal(headers["x-user-id"], "usr_alice");
      assert.equal(headers["x-user-email"], "alice@example.com");
      assert.equal(headers["x-user-roles"], "user");
      assert.equal(headers["x-session-id"], "ses_alice");
      assert.equal(headers["x-auth-method"], "jwt");
      assert.equal(headers["x-request-id"], answer.headers["x-request-id"]);
      assert.ok(isProven(answer.json, "portfolio"));
      assert.ok(!isProven(answer.json, "trading"), "a proof for one service is none for another");
    }
  });

  test("without credentials nobody hears what is wrong with them", async () => {
    for (const headers of [{}, { authorization: "Basic YTpi" }, { authorization: "Bearer" }, { "x-api-key": "" }]) {
      const answer = await edge.send("/v1/portfolio", { headers });
      assertProblem(answer, 401, "authentication_required");
      assert.equal(answer.headers["www-authenticate"], 'Bearer realm="portcullis"');
    }
  });

  test("forged and foreign tokens are refused", async () => {
    const { identity } = edge;
    const good = await identity.token();
    const [header, payload, signature] = good.split(".");
    const mallory = await newKey();
    const now = identity.now();
    const none = Buffer.from(JSON.stringify({ alg: "none", typ: "at+jwt", kid: identity.keys[0].kid })).toString("base64url");
    const spki = await jose.exportSPKI(identity.keys[0].publicKey);
    const hmac = (secret) => {
      const head = Buffer.from(JSON.stringify({ alg: "HS256", typ: "at+jwt", kid: identity.keys[0].kid })).toString("base64url");
      return `${head}.${payload}.${createHmac("sha256", secret).update(`${head}.${payload}`).digest("base64url")}`;
    };
    const bad = {
      nonsense: "nonsense",
      "alg none": `${none}.${payload}.`,
      "alg none with a signature": `${none}.${payload}.${signature}`,
      "HMAC with the public key": hmac(spki),
      "HMAC with the public key, trimmed": hmac(spki.trim()),
      "HMAC with the key as JSON": hmac(JSON.stringify(identity.keys[0].jwk)),
      "HMAC with the modulus": hmac(Buffer.from(identity.keys[0].jwk.n, "base64url")),
      "no signature": `${header}.${payload}.`,
      "another signature": `${header}.${payload}.${"A".repeat(342)}`,
      "another payload": `${header}.${Buffer.from(JSON.stringify(identity.claims({ roles: ["admin"] }))).toString("base64url")}.${signature}`,
      "signed by mallory": await identity.token({}, { key: { ...mallory, kid: identity.keys[0].kid } }),
      "with mallory's key inside": await identity.token({}, { key: mallory, header: { jwk: mallory.jwk, kid: identity.keys[0].kid } }),
      "with a key id that is a path": await identity.token({}, { header: { kid: "../../../../dev/null" } }),
      "without a key id": await identity.token({}, { header: { kid: undefined } }),
      "of another type": await identity.token({}, { header: { typ: "JWT" } }),
      expired: await identity.token({ iat: now - 1000, exp: now - 10 }),
      "not valid yet": await identity.token({ nbf: now + 60 }),
      "of another issuer": await identity.token({ iss: "mallory" }),
      "for another audience": await identity.token({ aud: "elsewhere" }),
      "a refresh token": await identity.token({ token_type: "refresh" }),
      "an MFA challenge": await identity.token({ token_type: "mfa_challenge" }),
      "exp as a string": await identity.token({ exp: String(now + 900) }),
      "exp missing": await identity.token({ exp: undefined }),
      "without roles": await identity.token({ roles: undefined }),
      "too long": await identity.token({ email: "a".repeat(8000) }),
    };
    for (const [name, token] of Object.entries(bad)) {
      await test(name, () => refused(edge.as(token, "/v1/portfolio"), 401, "invalid_token"));
    }
    for (const at of [10, header.length + 20, good.length - 3]) {
      const changed = good.slice(0, at) + (good[at] === "A" ? "B" : "A") + good.slice(at + 1);
      await refused(edge.as(changed, "/v1/portfolio"), 401, "invalid_token");
    }
    assert.equal((await edge.as(good, "/v1/portfolio")).status, 200, "and the good one still passes");
  });

  test("two ways to say who one is are one too many", async () => {
    const token = await edge.identity.token();
    const headers = { authorization: `Bearer ${token}`, "x-api-key": apiKey(1) };
    await refused(edge.send("/v1/portfolio", { headers }), 400, "bad_request");
    const twice = { authorization: [`Bearer ${token}`, `Bearer ${token}`] };
    await refused(edge.send("/v1/portfolio", { headers: twice }), 401, "invalid_token");
  });

  test("a token in the address is none, but on a WebSocket", async () => {
    const token = await edge.identity.token();
    await refused(edge.send(`/v1/portfolio?token=${token}`), 401, "authentication_required");
    await refused(edge.send(`/v1/portfolio?access_token=${token}`), 401, "authentication_required");
  });

  test("a remembered token is still held to its end", async () => {
    const now = edge.identity.now();
    const token = await edge.identity.token({ iat: now - 100, exp: now - 3 });
    assert.equal((await edge.as(token, "/v1/portfolio")).status, 200, "within the leeway");
    await new Promise((resolve) => setTimeout(resolve, 3000));
    await refused(edge.as(token, "/v1/portfolio"), 401, "invalid_token");
  });

  test("two callers at one address get their own answers", async () => {
    const [alice, bob] = [await edge.identity.token(), await edge.identity.token({ sub: "usr_bob" })];
    for (const [token, id] of [[alice, "usr_alice"], [bob, "usr_bob"], [alice, "usr_alice"]]) {
      const answer = await edge.as(token, "/v1/portfolio/same");
      assert.equal(answer.json.headers["x-user-id"], id);
      assert.equal(answer.headers["cache-control"], "no-store");
    }
  });

  test("whatever stands in a claim is one header value", async () => {
    const answer = await edge.as({ email: 'zoë, "x"\r\nX-User-Id: admin@例え.jp', roles: ["user", "a,admin"] }, "/v1/portfolio");
    assert.equal(answer.status, 200);
    assert.equal(answer.json.headers["x-user-id"], "usr_alice");
    assert.equal(decodeURIComponent(answer.json.headers["x-user-email"]), 'zoë, "x"\r\nX-User-Id: admin@例え.jp');
    assert.equal(answer.json.headers["x-user-roles"], "user,a%2Cadmin");
    assert.ok(isProven(answer.json, "portfolio"));
  });
});

describe("roles", () => {
  test("each role reaches its own services", async () => {
    const table = [
      [["guest"], "/v1/portfolio", 403],
      [[], "/v1/portfolio", 403],
      [["nobody-knows-me"], "/v1/portfolio", 403],
      [["viewer"], "/v1/portfolio", 200],
      [["viewer"], "/v1/trading", 403],
      [["user"], "/v1/trading", 403],
      [["trader"], "/v1/trading", 200],
      [["trading"], "/v1/trading", 200],
      [["trading"], "/v1/portfolio", 403],
      [["guest", "trading"], "/v1/trading", 200],
      [["user"], "/v1/portfolio/admin", 403],
      [["monitoring"], "/v1/portfolio/admin", 200],
      [["admin"], "/v1/portfolio/admin", 200],
      [["ADMIN"], "/v1/portfolio/admin", 403],
      [["viewer"], "/v1/portfolio/reports", 403],
      [["portfolio"], "/v1/portfolio/reports", 200],
      [["trading"], "/v1/portfolio/reports", 403],
    ];
    for (const [roles, target, status] of table) {
      const answer = await edge.as({ roles }, target);
      assert.equal(answer.status, status, `${roles} at ${target}`);
      if (status === 403) assertProblem(answer, 403, "forbidden");
    }
  });
});

describe("API keys", () => {
  const headers = { "x-api-key": apiKey(7) };

  test("a good key is asked about once and not handed on", async () => {
    const answer = { active: true, user_id: "usr_bot", roles: ["trader"], scopes: ["trading:read"], expires_at: null };
    edge.identity.apiKeys.set(apiKey(7), answer);
    const before = edge.identity.counts.apiKeys;
    for (let round = 0; round < 3; round += 1) {
      const { status, json } = await edge.send("/v1/trading/x", { headers });
      assert.equal(status, 200);
      assert.equal(json.headers["x-user-id"], "usr_bot");
      assert.equal(json.headers["x-auth-method"], "api_key");
      assert.equal(json.headers["x-user-scopes"], "trading:read");
      assert.equal(json.headers["x-session-id"], undefined);
      assert.equal(json.headers["x-api-key"], undefined);
      assert.ok(isProven(json, "trading"));
    }
    assert.equal(edge.identity.counts.apiKeys - before, 1);
    await refused(edge.send("/v1/portfolio/admin", { headers }), 403, "forbidden");
  });

  test("a key reaches what its scopes cover, and never more than its owner's roles", async () => {
    const table = [
      [["trading:read"], "/v1/trading", 200],
      [["trading:*"], "/v1/trading", 200],
      [["*:read"], "/v1/trading", 200],
      [["portfolio:read", "trading:read"], "/v1/trading", 200],
      [["portfolio:read"], "/v1/trading", 403],
      [["trade:*"], "/v1/trading", 403],
      [[], "/v1/trading", 403],
      [undefined, "/v1/trading", 403],
      [["trading:place"], "/v1/trading/orders", 200],
      [["trading:*"], "/v1/trading/orders", 200],
      [["trading:read"], "/v1/trading/orders", 403],
      [["*:read"], "/v1/trading/orders", 403],
      [["monitoring:*"], "/v1/portfolio/admin", 403],
      [["*:*"], "/v1/portfolio/admin", 403],
    ];
    for (const [at, [scopes, target, status]] of table.entries()) {
      const key = apiKey(100 + at);
      edge.identity.apiKeys.set(key, { active: true, user_id: "usr_bot", roles: ["trader"], scopes, expires_at: null });
      const request = edge.send(target, { headers: { "x-api-key": key } });
      if (status === 403) await refused(request, 403, "forbidden");
      else assert.equal((await request).status, 200, `${scopes} at ${target}`);
    }
  });

  test("an unknown key is refused, once asked about", async () => {
    const before = edge.identity.counts.apiKeys;
    for (let round = 0; round < 3; round += 1) {
      await refused(edge.send("/v1/trading", { headers: { "x-api-key": apiKey(8) } }), 401, "invalid_api_key");
    }
    assert.equal(edge.identity.counts.apiKeys - before, 1);
  });

  test("what is no key at all is not even asked about", async () => {
    const before = edge.identity.counts.apiKeys;
    const short = "a".repeat(21);
    for (const key of ["x", `${apiKey(9).slice(0, -1)}0`, "pk_1", short, "a b".repeat(20), "a".repeat(257), "a".repeat(9000)]) {
      await refused(edge.send("/v1/trading", { headers: { "x-api-key": key } }), 401, "invalid_api_key");
    }
    assert.equal(edge.identity.counts.apiKeys, before);
  });

  test("a key that was made elsewhere is asked about as it is", async () => {
    const key = "5d41402abc4b2a76b9719d911017c592aeb63bf04df2a5cc19c7f8a1bd0e36f7";
    const before = edge.identity.counts.apiKeys;
    await refused(edge.send("/v1/trading", { headers: { "x-api-key": key } }), 401, "invalid_api_key");
    assert.equal(edge.identity.counts.apiKeys, before + 1);
    const active = { active: true, user_id: "usr_bot", roles: ["trader"], scopes: ["trading:*"], expires_at: null };
    edge.identity.apiKeys.set(`${key}8`, active);
    const answer = await edge.send("/v1/trading", { headers: { "x-api-key": `${key}8` } });
    assert.equal(answer.status, 200);
  });

  test("a key that has ended is refused although it says active", async () => {
    const ended = { active: true, user_id: "usr_bot", roles: ["trader"], scopes: ["trading:*"], expires_at: "2020-01-01T00:00:00Z" };
    edge.identity.apiKeys.set(apiKey(10), ended);
    const answer = await edge.send("/v1/trading", { headers: { "x-api-key": apiKey(10) } });
    assert.notEqual(answer.status, 200);
  });

  test("while nobody can tell, the answer is 503 and not 401", async () => {
    for (const fault of [500, "garbage", "large", { active: "yes" }, { active: true }, { active: true, user_id: "usr_bot", roles: ["trader"], scopes: ["all"] }]) {
      edge.identity.faults.apiKeys = fault;
      await refused(edge.send("/v1/trading", { headers: { "x-api-key": apiKey(11) } }), 503, "unavailable");
    }
    edge.identity.faults.apiKeys = undefined;
  });
});

describe("paths", () => {
  const tricks = [
    ["/v1/auth/..%2fportfolio", 400],
    ["/v1/auth%2f..%2fportfolio", 400],
    ["/v1/auth/%252e%252e/portfolio", 400],
    ["/v1/auth/..;/portfolio", 400],
    ["/v1/auth/..%5cportfolio", 400],
    ["/v1//portfolio", 400],
    ["//v1/portfolio", 400],
    ["/v1/auth//portfolio", 400],
    ["/V1/portfolio", 400],
    ["/v1/PORTFOLIO", 400],
    ["/v1/portfolio/Admin", 400],
    ["/v1/portfolio/%61dmin", 400],
    ["/v1/%70ortfolio", 400],
    ["/v1/portfolio%00", 400],
    ["/v1/portfolios", 404],
    ["/", 404],
    ["/v2", 404],
  ];
  for (const [target, status] of tricks) {
    test(`${target} leads nowhere`, () =>
      refused(edge.as({ roles: ["admin"] }, target), status, status === 400 ? "bad_request" : "not_found"));
  }

  // The platform resolves these before the worker sees them; what matters is that the same path is judged and sent.
  for (const target of ["/v1/auth/../portfolio", "/v1/auth/%2e%2e/portfolio", "/public/.%2e/v1/portfolio", "/public\\..\\v1\\portfolio"]) {
    test(`${target} needs what its resolved path needs`, async () => {
      const answer = await edge.send(target);
      assert.ok([400, 401].includes(answer.status), answer.text);
    });
  }

  test("methods nobody serves are refused", () =>
    refused(edge.as({}, "/v1/portfolio", { method: "PROPFIND" }), 405, "method_not_allowed"));
});

describe("headers", () => {
  const forged = {
    "X-User-Id": "usr_admin",
    "x-user-email": "root@example.com",
    "X-USER-ROLES": "admin",
    "x-user-scopes": "*",
    "X-Session-Id": "ses_1",
    "x-auth-method": "none",
    "X-Edge-Proof": "v1;t=1;00",
    "x-client-address": "127.0.0.1",
    X_User_Id: "usr_admin",
    "x-user_id": "usr_admin",
    "X.User.Roles": "admin",
    "x-service-token": "guess",
    "x-forwarded-for": "127.0.0.1",
    "X-Forwarded-Host": "evil.example",
    forwarded: "for=127.0.0.1",
    "x-real-ip": "127.0.0.1",
    "x-original-url": "/v1/admin",
    "proxy-authorization": "Basic x",
    te: "trailers",
  };

  for (const [who, target, send] of [
    ["an anonymous caller", "/public/x", (target) => edge.send(target, { headers: forged })],
    ["a proven caller", "/v1/portfolio", (target) => edge.as({}, target, { headers: forged })],
  ]) {
    test(`${who} cannot write identity headers`, async () => {
      const { status, json } = await send(target);
      assert.equal(status, 200);
      const proven = who === "a proven caller";
      const spelling = (name) => name.toLowerCase().replaceAll(/[^a-z0-9]/g, "-");
      for (const name of Object.keys(forged)) {
        for (const [sent, value] of Object.entries(json.headers)) {
          if (spelling(sent) === spelling(name)) assert.notEqual(value, forged[name], `${sent} came through`);
        }
      }
      assert.equal(json.headers["x-user-id"], proven ? "usr_alice" : undefined);
      assert.ok(isProven(json, proven ? "portfolio" : "web"));
    });
  }

  test("a header named by Connection goes no further, and cannot take one of ours away", async () => {
    for (const nominated of ["x-user-id, x-secret-hop, close", "X-User-Id, X-Secret-Hop, close"]) {
      const headers = { connection: nominated, "x-secret-hop": "1" };
      const { json } = await edge.as({}, "/v1/portfolio", { headers });
      assert.equal(json.headers["x-user-id"], "usr_alice");
      assert.equal(json.headers["x-secret-hop"], undefined, nominated);
    }
  });

  test("the address of the caller is the platform's word, signed", async () => {
    const { json } = await edge.as({}, "/v1/portfolio", { headers: { "cf-connecting-ip": "192.0.2.7" } });
    assert.equal(json.headers["x-client-address"], "192.0.2.7");
    assert.ok(isProven(json, "portfolio"));
  });

  test("a sound request id is kept and another replaced", async () => {
    const kept = await edge.send("/v1/portfolio", { headers: { "x-request-id": "a-1.b_2" } });
    assert.equal(kept.json.request_id, "a-1.b_2");
    for (const id of ["a b", "<x>", "x".repeat(129)]) {
      const answer = await edge.send("/v1/portfolio", { headers: { "x-request-id": id } });
      assert.notEqual(answer.json.request_id, id);
    }
  });

  test("every answer carries the security headers", async () => {
    for (const answer of [await edge.send("/"), await edge.send("/public"), await edge.as({}, "/v1/portfolio")]) {
      assert.equal(answer.headers["x-content-type-options"], "nosniff");
      assert.equal(answer.headers["x-frame-options"], "DENY");
      assert.equal(answer.headers["strict-transport-security"], "max-age=63072000; includeSubDomains");
      assert.equal(answer.headers["cache-control"], "no-store");
      assert.match(answer.headers["content-security-policy"], /default-src 'none'; base-uri 'none'.*frame-ancestors 'none'/);
    }
  });
});

describe("CORS", () => {
  const preflight = (origin, target = "/v1/portfolio") =>
    edge.send(target, { method: "OPTIONS", headers: { origin, "access-control-request-method": "PUT" } });

  test("an allowed page is answered at the edge, alike for every path", async () => {
    for (const target of ["/v1/portfolio", "/nowhere"]) {
      const reached = edge.upstream.seen.length;
      const { status, headers } = await preflight(PAGE, target);
      assert.equal(status, 204);
      assert.equal(headers["access-control-allow-origin"], PAGE);
      assert.equal(headers["access-control-allow-credentials"], "true");
      assert.match(headers["access-control-allow-methods"], /PUT/);
      assert.match(headers["access-control-allow-headers"], /authorization/);
      assert.equal(edge.upstream.seen.length, reached);
    }
  });

  test("a foreign page is granted nothing, whatever the service says", async () => {
    for (const origin of ["https://evil.example", "null", `${PAGE}.evil.example`, PAGE.toUpperCase()]) {
      for (const answer of [await preflight(origin), await edge.as({}, "/v1/portfolio", { headers: { origin } })]) {
        assert.equal(answer.headers["access-control-allow-origin"], undefined);
        assert.match(answer.headers.vary, /origin/);
      }
    }
  });

  test("an allowed page may read answers and refusals", async () => {
    const headers = { origin: PAGE };
    for (const answer of [await edge.send("/v1/portfolio", { headers }), await edge.as({}, "/v1/portfolio", { headers })]) {
      assert.equal(answer.headers["access-control-allow-origin"], PAGE);
      assert.match(answer.headers["access-control-expose-headers"], /x-request-id/);
    }
  });
});
