// A WebSocket that stays open while its tokens are replaced.
import assert from "node:assert/strict";
import { test } from "node:test";
import { keepSocketSignedIn } from "../dist/index.js";
import { LIFETIME, signedIn } from "./world.js";

/** A socket that records what is sent over it. */
class Socket extends EventTarget {
  readyState = 0;
  sent = [];

  send(text) {
    this.sent.push(JSON.parse(text));
  }

  open() {
    this.readyState = 1;
    this.dispatchEvent(new Event("open"));
  }

  close() {
    this.readyState = 3;
    this.dispatchEvent(new Event("close"));
  }

  receive(data) {
    this.dispatchEvent(new MessageEvent("message", { data }));
  }
}

const frame = (token) => ({ type: "portcullis.token", access_token: token });
const due = LIFETIME * 1000;

async function connected() {
  const { world, client, service } = await signedIn();
  const socket = new Socket();
  const stop = keepSocketSignedIn(socket, client);
  return { world, client, service, socket, stop };
}

test("each new token is presented, and the one it was opened with is not", async () => {
  const { world, client, socket } = await connected();
  socket.open();
  assert.deepEqual(socket.sent, []);
  const first = client.accessToken;
  await world.pass(due);
  assert.notEqual(client.accessToken, first);
  assert.deepEqual(socket.sent, [frame(client.accessToken)]);
});

test("a token that was replaced while the socket opened is presented when it is open", async () => {
  const { world, client, socket } = await connected();
  await world.pass(due);
  assert.deepEqual(socket.sent, []);
  socket.open();
  assert.deepEqual(socket.sent, [frame(client.accessToken)]);
});

test("nothing is sent once it is closed, stopped, or nobody is signed in", async () => {
  for (const end of [({ socket }) => socket.close(), ({ stop }) => stop(), ({ client }) => client.logout()]) {
    const all = await connected();
    all.socket.open();
    await end(all);
    await all.world.pass(due);
    assert.deepEqual(all.socket.sent, []);
  }
});

test("messages of the edge are its own affair, and one that announces the end brings a new token", async () => {
  const { world, client, socket, service } = await connected();
  const seen = [];
  socket.addEventListener("message", ({ data }) => seen.push(data));
  socket.open();
  const messages = ['{"type":"tick"}', "portcullis.token", '{"type":"portcullis.', new ArrayBuffer(2)];
  for (const message of messages) socket.receive(message);
  socket.receive('{"type":"portcullis.token","status":"accepted","expires_in":900}');
  assert.deepEqual(seen, messages);
  const before = service.count("/v1/auth/refresh");
  // Another tab's token is good enough for half a minute.
  await world.pass(60_000);
  socket.receive('{"type":"portcullis.token_expiring","expires_in":60}');
  await world.pass(1000);
  assert.equal(service.count("/v1/auth/refresh"), before + 1);
  assert.deepEqual(socket.sent, [frame(client.accessToken)]);
  assert.deepEqual(seen, messages);
});
