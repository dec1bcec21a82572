// WebSockets that are open while their token ends, is revoked or is replaced; and how each side hears of the other's end.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test as unlimited } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { Edge } from "./edge.js";
import { apiKey, newKey } from "./identity.js";
import { id } from "./revocations.js";
import { serve } from "./server.js";
import { ws } from "./tools.js";

/// What never ends is a failure, not a wait.
const test = (name, ...rest) => {
  const body = rest.pop();
  return unlimited(name, { timeout: 20_000, ...rest[0] }, body);
};
const MIB = 1024 * 1024;
/// Behind the edge: echoes, and does what the path says.
let service;
let server;
let edge;
/// How each socket of the service ended, by the path.
const ends = new Map();

before(async () => {
  service = await serve((_, response) => response.end());
  server = new ws.WebSocketServer({ server: service.server, maxPayload: 8 * MIB, handleProtocols: () => "chosen" });
  server.on("connection", (socket, request) => {
    const path = request.url;
    ends.set(path, new Promise((resolve) => socket.on("close", (code, reason) => resolve([code, reason.toString()]))));
    const closing = /\/close\/(\d+)/.exec(path);
    if (path === "/ticks/flood") flood(socket);
    socket.on("message", (data, isBinary) => {
      if (closing) socket.close(...(closing[1] === "1005" ? [] : [Number(closing[1]), "as asked"]));
      else if (path.includes("/drop")) socket.terminate();
      else socket.send(data, { binary: isBinary });
    });
  });
  const route = { service: "portfolio", upstreams: [service.url] };
  edge = await Edge.start({
    routes: [
      { ...route, prefix: "/ticks" },
      { ...route, prefix: "/critical", critical: true },
      { ...route, prefix: "/kept", keeps_sockets: true },
      { ...route, prefix: "/open", public: true },
    ],
  });
});
after(async () => {
  server.close();
  await service.close();
  await edge.close();
});

/// Sends faster than anybody takes it, for as long as it can.
async function flood(socket) {
  const part = randomBytes(MIB / 4);
  while (socket.readyState === ws.WebSocket.OPEN) {
    socket.send(part);
    await pause(5);
  }
}

/// An open socket of this edge: its messages, and how and when it ended.
async function open(target, { token, headers = {}, protocols = [], through = edge } = {}) {
  const authorization = token ? { authorization: `Bearer ${token}` } : {};
  const socket = new ws.WebSocket(through.url.replace("http", "ws") + target, protocols, {
    headers: { ...authorization, ...headers },
    perMessageDeflate: false,
  });
  const [messages, waiting] = [[], []];
  socket.on("message", (data, isBinary) => {
    const message = isBinary ? data : data.toString();
    const next = waiting.shift();
    if (next) next(message);
    else messages.push(message);
  });
  socket.on("error", () => {});
  const ended = new Promise((resolve) =>
    socket.on("close", (code, reason) => resolve({ code, reason: reason.toString(), at: Date.now() })),
  );
  await new Promise((resolve, reject) => socket.on("open", resolve).on("unexpected-response", (_, { statusCode }) => reject(new Error(statusCode))));
  return {
    socket,
    ended,
    next: () => (messages.length > 0 ? Promise.resolve(messages.shift()) : new Promise((resolve) => waiting.push(resolve))),
    echo(text) {
      socket.send(text);
      return this.next();
    },
    present: (token) => socket.send(JSON.stringify({ type: "portcullis.token", access_token: token })),
    isOpen: () => socket.readyState === ws.WebSocket.OPEN,
  };
}

const until = (seconds) => ({ iat: edge.identity.now() - 60, exp: edge.identity.now() + seconds });

test("logout closes an open socket within 6 s, and another user's goes on", async () => {
  const ALICE = id("ses", "alice");
  const hers = await open("/ticks/alice", { token: await edge.identity.token({ session_id: ALICE }) });
  const his = await open("/ticks/bob", { token: await edge.identity.token({ sub: "usr_bob", session_id: id("ses", "bob") }) });
  const critical = await open("/critical", { token: await edge.identity.token({ session_id: ALICE }) });
  await pause(2500);
  assert.equal(await hers.echo("hello"), "hello");
  const began = Date.now();
  edge.identity.revoke({ session: ALICE });
  for (const { ended } of [hers, critical]) {
    const { code, reason, at } = await ended;
    assert.deepEqual([code, reason], [4401, "session_revoked"]);
    console.log(`closed ${((at - began) / 1000).toFixed(1)} s after the logout`);
    assert.ok(at - began <= 6000);
  }
  assert.deepEqual(await ends.get("/ticks/alice"), [4401, "session_revoked"], "the service is told, too");
  assert.equal(await his.echo("still here"), "still here");
  his.socket.close();
});

test("an open socket of a user who was disabled closes within 6 s", async () => {
  const BOB = id("usr", "bob");
  const { ended } = await open("/ticks", { token: await edge.identity.token({ sub: BOB, session_id: id("ses", "b") }) });
  const began = Date.now();
  edge.identity.revoke({ user: BOB, epoch: 0xffffffff });
  const { code, reason, at } = await ended;
  assert.deepEqual([code, reason], [4401, "session_revoked"]);
  assert.ok(at - began <= 6000, `${at - began} ms`);
});

test("a socket ends when its token does, whether anything is sent or not", async () => {
  // With the leeway of five seconds, like a request.
  const began = Date.now();
  const [quiet, busy] = await Promise.all([open("/ticks/quiet", { token: await edge.identity.token(until(-2)) }), open("/ticks/busy", { token: await edge.identity.token(until(-2)) })]);
  const chatter = setInterval(() => busy.isOpen() && busy.socket.send("x"), 20);
  for (const { ended } of [quiet, busy]) {
    const { code, reason, at } = await ended;
    assert.deepEqual([code, reason], [4401, "invalid_token"]);
    assert.ok(at - began >= 1900 && at - began < 5000, `${at - began} ms`);
  }
  clearInterval(chatter);
});

test("a fresh token of the same user keeps a socket open beyond the first one", async () => {
  const socket = await open("/ticks/renewed", { token: await edge.identity.token(until(-2)) });
  assert.equal(await socket.echo('{"type":"portcullis.tokens"}'), '{"type":"portcullis.tokens"}', "a message like any other");
  assert.equal(await socket.echo('about "portcullis.token"'), 'about "portcullis.token"');
  socket.present(await edge.identity.token(until(60)));
  const answer = JSON.parse(await socket.next());
  assert.deepEqual([answer.type, answer.status], ["portcullis.token", "accepted"]);
  assert.ok(answer.expires_in >= 58 && answer.expires_in <= 60, "seconds");
  const { type, expires_in: left } = JSON.parse(await socket.next());
  assert.deepEqual([type, left <= 60], ["portcullis.token_expiring", true]);
  await pause(5000);
  assert.equal(await socket.echo("still here"), "still here");
  socket.socket.close(1000);
  assert.deepEqual(await ends.get("/ticks/renewed"), [1000, ""]);
  // Only "portcullis.tokens", the talk about tokens and "still here" have come through: each was echoed in turn.
});

test("a token that would not open it closes it", async () => {
  const { identity } = edge;
  const forged = { key: { ...(await newKey()), kid: identity.keys[0].kid } };
  for (const [what, token, code, reason] of [
    ["another user's", await identity.token({ sub: "usr_mallory" }), 4401, "identity_changed"],
    ["of other roles", await identity.token({ roles: ["user", "admin"] }), 4401, "identity_changed"],
    ["of a role that may not", await identity.token({ roles: ["guest"] }), 4403, "forbidden"],
    ["forged", await identity.token({}, forged), 4401, "invalid_token"],
    ["over", await identity.token(until(-30)), 4401, "invalid_token"],
    ["none", "", 4401, "invalid_token"],
    ["no text", 7, 4401, "invalid_token"],
    ["as long as can be", "x".repeat(8000), 4401, "invalid_token"],
  ]) {
    const socket = await open("/ticks", { token: await identity.token() });
    socket.present(token);
    const ended = await socket.ended;
    assert.deepEqual([ended.code, ended.reason], [code, reason], what);
  }
});

test("a socket of an API key ends with the key", async () => {
  const { identity } = edge;
  const BOT = id("usr", "bot");
  const active = { active: true, user_id: BOT, roles: ["user"], scopes: ["portfolio:*"], expires_at: null };
  const key = apiKey(501);
  identity.apiKeys.set(key, active);
  const socket = await open("/ticks", { headers: { "x-api-key": key } });
  const ending = apiKey(502);
  identity.apiKeys.set(ending, { ...active, expires_at: new Date(Date.now() + 3000).toISOString() });
  const other = await open("/ticks", { headers: { "x-api-key": ending } });
  identity.apiKeys.set(ending, { active: false });
  const began = Date.now();
  assert.equal((await other.ended).code, 4401);
  assert.ok(Date.now() - began < 4500, "it said when it ends");
  // Its user is disabled: it is looked up again at once.
  identity.apiKeys.set(key, { active: false });
  const revoked = Date.now();
  identity.revoke({ user: BOT, epoch: 1 });
  const { code, reason, at } = await socket.ended;
  assert.deepEqual([code, reason], [4401, "invalid_api_key"]);
  assert.ok(at - revoked <= 6000, `${at - revoked} ms`);
});

test("a route may keep its sockets, and public ones are nobody's", async () => {
  const SESSION = id("ses", "kept");
  const token = await edge.identity.token({ ...until(-2), session_id: SESSION });
  const [kept, free] = [await open("/kept", { token }), await open("/open", {})];
  edge.identity.revoke({ session: SESSION });
  await pause(6500);
  const frame = '{"type":"portcullis.token","access_token":"x"}';
  assert.equal(await kept.echo(frame), frame, "no message is taken there");
  assert.equal(await free.echo(frame), frame);
  for (const { socket } of [kept, free]) socket.close();
});

test("each side hears how the other one closed", async () => {
  const token = await edge.identity.token();
  for (const [asked, code, reason] of [
    [1000, 1000, "as asked"],
    [1001, 1001, "as asked"],
    [1011, 1011, "as asked"],
    [3000, 3000, "as asked"],
    [4999, 4999, "as asked"],
    [1005, 1005, ""],
  ]) {
    const socket = await open(`/ticks/close/${asked}`, { token });
    socket.socket.send("close");
    const ended = await socket.ended;
    assert.deepEqual([ended.code, ended.reason], [code, reason]);
  }
  const dropped = await open("/ticks/drop", { token });
  dropped.socket.send("drop");
  assert.equal((await dropped.ended).code, 1011, "the service went without a word");
  for (const [at, [given, told]] of [[[1000, "bye"], [1000, "bye"]], [[4001, ""], [4001, ""]], [[], [1005, ""]]].entries()) {
    const { socket } = await open(`/ticks/from/${at}`, { token });
    socket.close(...given);
    assert.deepEqual(await ends.get(`/ticks/from/${at}`), told);
  }
  const { socket } = await open("/ticks/vanished", { token });
  socket.terminate();
  assert.deepEqual(await ends.get("/ticks/vanished"), [1001, ""]);
  assert.doesNotMatch(edge.process.log(), /uncaught|closure/i);
});

test("messages of up to a mebibyte pass in order, and a longer one closes both sides", async () => {
  const token = await edge.identity.token();
  const socket = await open("/ticks", { token, protocols: ["chosen"] });
  assert.equal(socket.socket.protocol, "chosen");
  const big = Buffer.alloc(MIB, 7);
  socket.socket.send(big);
  socket.socket.send("é".repeat(1000));
  for (let at = 0; at < 200; at += 1) socket.socket.send(String(at));
  assert.ok(big.equals(await socket.next()));
  assert.equal(await socket.next(), "é".repeat(1000));
  for (let at = 0; at < 200; at += 1) assert.equal(await socket.next(), String(at));
  socket.socket.send(Buffer.alloc(MIB + 1));
  assert.equal((await socket.ended).code, 1009);
});

test("a side that takes nothing does not fill the memory of the edge", async () => {
  const token = await edge.identity.token();
  const { socket } = await open("/ticks/flood", { token });
  socket.pause();
  assert.deepEqual(await ends.get("/ticks/flood"), [1008, "too_slow"]);
  socket.terminate();
});

test("a subprotocol and the upgrade's headers are the service's", async () => {
  const token = await edge.identity.token();
  const socket = await open("/ticks/headers", { token, protocols: ["chosen", "other"] });
  assert.equal(socket.socket.protocol, "chosen");
  socket.socket.close();
});

test("where it is unknown for too long what was revoked, sockets of critical routes close", async () => {
  const route = { service: "portfolio", upstreams: [service.url] };
  const other = await Edge.start({
    variables: { REVOCATION_POLL: "1", REVOCATION_MAX_STALENESS: "2" },
    routes: [{ ...route, prefix: "/ticks" }, { ...route, prefix: "/critical", critical: true }],
  });
  try {
    const token = await other.identity.token();
    const [critical, plain] = [await open("/critical", { token, through: other }), await open("/ticks", { token, through: other })];
    await pause(2500);
    assert.ok(critical.isOpen(), "an idle socket keeps its pages current");
    other.identity.faults.revocations = 500;
    const { code, reason } = await critical.ended;
    assert.deepEqual([code, reason], [1013, "unavailable"]);
    // It is not known whether it is this socket alone that learns nothing more.
    assert.equal((await plain.ended).code, 1013);
    const again = await open("/ticks", { token, through: other });
    await pause(4000);
    assert.equal(await again.echo("on"), "on", "once for each outage");
    again.socket.close();
  } finally {
    await other.close();
  }
});

test("a socket beyond those that an isolate watches closes at once, and takes nobody's place", { timeout: 180_000 }, async () => {
  const MOST = 4096;
  const other = await Edge.start({ routes: [{ service: "portfolio", upstreams: [service.url], prefix: "/ticks" }] });
  try {
    const token = await other.identity.token();
    const sockets = [];
    while (sockets.length < MOST) {
      const next = Array.from({ length: Math.min(64, MOST - sockets.length) }, () => open("/ticks", { token, through: other }));
      sockets.push(...(await Promise.all(next)));
    }
    assert.ok(sockets.every((socket) => socket.isOpen()));
    const { code, reason } = await (await open("/ticks", { token, through: other })).ended;
    assert.deepEqual([code, reason], [1013, "unavailable"]);
    for (const socket of [sockets[0], sockets.at(-1)]) assert.equal(await socket.echo("still here"), "still here");
    sockets[7].socket.close();
    await sockets[7].ended;
    const placed = await open("/ticks", { token, through: other });
    assert.equal(await placed.echo("in its place"), "in its place");
    for (const socket of [...sockets, placed]) socket.socket.terminate();
  } finally {
    await other.close();
  }
});
