// What passes through: bodies of any size, WebSockets, redirects; and what happens when an upstream does not.

import assert from "node:assert/strict";
import fs from "node:fs";
import http from "node:http";
import { after, before, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { Edge } from "./edge.js";
import { isProven } from "./proof.js";
import { serve } from "./server.js";
import { ws } from "./tools.js";

const MIB = 1024 * 1024;
const SIZE = 100 * MIB;
let edge;
let origin;
let gone;
let sockets;

before(async () => {
  origin = await serve(special);
  gone = await serve(() => {});
  await gone.close();
  sockets = new ws.WebSocketServer({ server: origin.server });
  sockets.on("connection", (socket, request) => {
    socket.send(JSON.stringify({ url: request.url, headers: request.headers, method: request.method }));
    socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
  });
  edge = await Edge.start({
    routes: [
      { prefix: "/big", service: "portfolio", upstreams: [origin.url] },
      { prefix: "/slow", service: "portfolio", upstreams: [origin.url], timeout_seconds: 1 },
      { prefix: "/stream", service: "strategy", upstreams: [origin.url] },
      { prefix: "/gone", service: "portfolio", upstreams: [gone.url] },
      { prefix: "/spare", service: "portfolio", upstreams: [gone.url, origin.url] },
      { prefix: "/sick", service: "portfolio", upstreams: [origin.url, "http://127.0.0.1:1"] },
      { prefix: "/late", service: "portfolio", upstreams: [origin.url, origin.url.replace("127.0.0.1", "localhost")], timeout_seconds: 1 },
    ],
  });
});
after(async () => {
  sockets.close();
  await origin.close();
  await edge.close();
});

let received = 0;
let lates = 0;

async function special(request, response) {
  const { pathname } = new URL(request.url, origin.url);
  if (pathname === "/big/down") {
    const part = Buffer.alloc(MIB, "x");
    for (let sent = 0; sent < SIZE; sent += MIB) {
      if (!response.write(part)) await new Promise((resolve) => response.once("drain", resolve));
    }
    response.end();
  } else if (pathname === "/big/up") {
    received = 0;
    for await (const part of request) received += part.length;
    response.end(String(received));
  } else if (pathname === "/slow/never") {
    await new Promise((resolve) => response.on("close", resolve));
  } else if (pathname === "/slow/body") {
    response.write("first");
    await pause(1500);
    response.end(" second");
  } else if (pathname === "/late/once" && (lates += 1) === 1) {
    await new Promise((resolve) => response.on("close", resolve));
  } else if (pathname === "/sick/503") {
    response.writeHead(503).end("sick");
  } else if (pathname === "/big/redirect") {
    response.writeHead(302, { location: "http://169.254.169.254/latest", "set-cookie": "a=1" }).end();
  } else {
    response.end(`${request.method} ${request.url}`);
  }
}

const memory = () => Number(/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${edge.process.pid}/status`, "utf8"))[1]) / 1024;

/// Runs the job and says by how many MiB the process grew meanwhile, at the highest.
async function growth(job) {
  const start = memory();
  let highest = start;
  const timer = setInterval(() => (highest = Math.max(highest, memory())), 10);
  await job();
  clearInterval(timer);
  return highest - start;
}

test("100 MiB stream down and up in bounded memory", async () => {
  const headers = { authorization: `Bearer ${await edge.identity.token()}` };
  await edge.send("/big/small", { headers });
  const down = await growth(
    () =>
      new Promise((resolve, reject) => {
        http.get(`${edge.url}/big/down`, { headers }, async (response) => {
          let length = 0;
          for await (const part of response) {
            length += part.length;
            // A reader slower than the service: what it has not taken must wait there, not at the edge.
            if (length % (8 * MIB) < part.length) await pause(20);
          }
          assert.equal(length, SIZE);
          resolve();
        }).on("error", reject);
      }),
  );
  const up = await growth(
    () =>
      new Promise((resolve, reject) => {
        const request = http.request(`${edge.url}/big/up`, { method: "POST", headers }, async (response) => {
          let text = "";
          for await (const part of response) text += part;
          assert.equal(text, String(SIZE));
          resolve();
        });
        request.on("error", reject);
        (async () => {
          const part = Buffer.alloc(MIB, "y");
          for (let sent = 0; sent < SIZE; sent += MIB) {
            if (!request.write(part)) await new Promise((drained) => request.once("drain", drained));
          }
          request.end();
        })();
      }),
  );
  console.log(`workerd grew by ${down.toFixed(0)} MiB sending and ${up.toFixed(0)} MiB receiving ${SIZE / MIB} MiB`);
  assert.ok(down < 48 && up < 48, `${down} and ${up} MiB`);
});

test("a body may take longer than the time limit, which is for its beginning", async () => {
  const answer = await edge.as({}, "/slow/body");
  assert.deepEqual([answer.status, answer.text], [200, "first second"]);
});

test("an upstream that never answers costs a second here, and a 502", async () => {
  const start = Date.now();
  const answer = await edge.as({}, "/slow/never");
  assert.deepEqual([answer.status, answer.json?.code], [502, "upstream_timeout"]);
  assert.ok(Date.now() - start < 3000);
});

test("an upstream that is not there is a 502", async () => {
  const answer = await edge.as({}, "/gone");
  assert.deepEqual([answer.status, answer.json?.code], [502, "upstream_unavailable"]);
  assert.ok(!answer.text.includes("127.0.0.1"), "nothing of the inside shows");
});

test("an idempotent request finds the next upstream, another does not", async () => {
  // First the one that must not be repeated: afterwards the dead upstream is known and tried last.
  const posted = await edge.as({}, "/spare/x", { method: "POST", body: "order" });
  assert.equal(posted.status, 502);
  for (const method of ["GET", "DELETE"]) {
    const answer = await edge.as({}, "/spare/x", { method });
    assert.deepEqual([answer.status, answer.text], [200, `${method} /spare/x`]);
  }
  const later = await edge.as({}, "/spare/x", { method: "POST", body: "order" });
  assert.equal(later.status, 200, "what failed a moment ago is not tried first again");
  const late = await edge.as({}, "/late/once");
  assert.deepEqual([late.status, lates], [200, 2], "one that is late has failed, too");
});

test("when all fail, the last answer is told", async () => {
  const answer = await edge.as({}, "/sick/503");
  assert.ok([502, 503].includes(answer.status));
});

test("redirects are the client's to follow", async () => {
  const answer = await edge.as({}, "/big/redirect");
  assert.equal(answer.status, 302);
  assert.equal(answer.headers.location, "http://169.254.169.254/latest");
});

function open(target, options = {}) {
  return new Promise((resolve) => {
    const socket = new ws.WebSocket(edge.url.replace("http", "ws") + target, options);
    const messages = [];
    let wake = () => {};
    socket.on("message", (data, isBinary) => {
      messages.push(isBinary ? data : data.toString());
      wake();
    });
    const next = async () => {
      while (messages.length === 0) await new Promise((arrived) => (wake = arrived));
      return messages.shift();
    };
    socket.on("open", () => resolve({ socket, next }));
    socket.on("unexpected-response", (_, response) => resolve({ status: response.statusCode }));
    socket.on("error", () => {});
  });
}

test("a WebSocket passes with its token in a header or in the address", async () => {
  const token = await edge.identity.token();
  for (const [target, options, url] of [
    ["/stream/prices?symbol=X", { headers: { authorization: `Bearer ${token}` } }, "/stream/prices?symbol=X"],
    [`/stream/prices?token=${token}&symbol=X`, {}, "/stream/prices?symbol=X"],
    [`/stream/prices?a=%20b&token=${token}`, {}, "/stream/prices?a=%20b"],
    [`/stream/prices?token=${token}`, {}, "/stream/prices"],
  ]) {
    const { socket, next } = await open(target, options);
    const hello = JSON.parse(await next());
    assert.equal(hello.url, url, "the token goes no further");
    assert.equal(hello.headers["x-user-id"], "usr_alice");
    assert.ok(isProven(hello, "strategy"));
    socket.send("ping");
    assert.equal(await next(), "ping");
    socket.send(Buffer.from([0, 1, 255]));
    assert.deepEqual([...(await next())], [0, 1, 255]);
    const closed = new Promise((resolve) => socket.on("close", resolve));
    socket.close(1000);
    assert.equal(await closed, 1000);
  }
});

test("a WebSocket without a good token does not open", async () => {
  const token = await edge.identity.token();
  assert.equal((await open("/stream/prices")).status, 401);
  assert.equal((await open("/stream/prices?token=nonsense")).status, 401);
  assert.equal((await open(`/stream/prices?token=${token}&token=${token}`)).status, 400);
  const both = await open(`/stream/prices?token=${token}`, { headers: { authorization: `Bearer ${token}` } });
  assert.equal(both.status, 400);
});
