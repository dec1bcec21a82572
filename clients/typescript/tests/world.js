// A browser and a service without either: a clock that tests move by hand, tabs that share locks, a channel and a cookie, and
// a service that issues tokens and says what it was asked.
import { createClient } from "../dist/index.js";

export const HOME = "https://app.example.com";
export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
/** Lifetime of the access tokens of this service, seconds. */
export const LIFETIME = 900;

export const ASHA = {
  user_id: "usr_asha",
  name: "Asha Rao",
  email: "asha@example.com",
  roles: ["user"],
  status: "active",
};
export const RAVI = {
  user_id: "usr_ravi",
  name: "Ravi Menon",
  email: "ravi@example.com",
  roles: ["admin"],
  status: "active",
};

/** Lets everything happen that needs no time. */
export async function settle(turns = 12) {
  for (let turn = 0; turn < turns; turn++) await new Promise(setImmediate);
}

export function jwt(sub, sid, number) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  // An `exp` that is long over: nothing may depend on it.
  return `${part({ alg: "EdDSA" })}.${part({ sub, session_id: sid, jti: `${sid}-${number}`, exp: 1 })}.signature`;
}

export function json(body, status = 200, headers = {}) {
  return new Response(JSON.stringify(body), { status, headers: { "content-type": "application/json", ...headers } });
}

export function problem(status, code, { headers = {}, ...members } = {}) {
  return json(
    { type: `urn:portcullis:problem:${code}`, title: code, status, detail: code, code, request_id: "1", ...members },
    status,
    {
      ...(status === 401 ? { "www-authenticate": `Bearer error="${members.challenge ?? "invalid_token"}"` } : {}),
      ...headers,
    },
  );
}

/** The service, as far as the client sees it. `faults` take precedence: each returns a response, throws, or declines. */
export class Service {
  log = [];
  faults = [];
  people = new Map([
    [ASHA.email, ASHA],
    [RAVI.email, RAVI],
  ]);
  sessions = new Map();
  cookie = undefined;
  issued = 0;

  signIn(person) {
    const sid = `ses_${this.sessions.size + 1}`;
    this.sessions.set(sid, { sid, person, isAlive: true });
    this.cookie = sid;
    return this.tokens(sid);
  }

  tokens(sid) {
    const { person } = this.sessions.get(sid);
    return { access_token: jwt(person.user_id, sid, ++this.issued), token_type: "Bearer", expires_in: LIFETIME };
  }

  count(path) {
    return this.log.filter((entry) => entry.path === path).length;
  }

  /** The next request to this path gets this response, or none. */
  once(path, respond) {
    const fault = (request) => {
      if (request.path !== path) return undefined;
      this.faults.splice(this.faults.indexOf(fault), 1);
      return respond(request);
    };
    this.faults.push(fault);
  }

  /** Every request to this path, until the returned function is called. */
  always(path, respond) {
    const fault = (request) => (request.path === path ? respond(request) : undefined);
    this.faults.push(fault);
    return () => this.faults.splice(this.faults.indexOf(fault), 1);
  }

  async respond(request) {
    this.log.push(request);
    for (const fault of [...this.faults]) {
      const response = await fault(request);
      if (response) return response;
    }
    const route = {
      "/v1/auth/refresh": "refresh",
      "/v1/auth/login": "login",
      "/v1/auth/logout": "logout",
      "/v1/users/me": "me",
    }[request.path];
    return route ? this[route](request) : this.other(request);
  }

  refresh() {
    const session = this.sessions.get(this.cookie);
    return session?.isAlive
      ? json(this.tokens(session.sid))
      : problem(401, "invalid_refresh_token", { challenge: "invalid_grant" });
  }

  login({ body }) {
    const person = this.people.get(body.email);
    if (!person) return problem(401, "invalid_credentials", { challenge: "invalid_grant" });
    return json({ status: "authenticated", user: person, ...this.signIn(person) });
  }

  logout() {
    const session = this.sessions.get(this.cookie);
    if (!session) return problem(401, "authentication_required");
    session.isAlive = false;
    this.cookie = undefined;
    return json({ status: "logged_out", ended: [session.sid], all_devices: [] });
  }

  me(request) {
    const session = this.sessionOf(request);
    return session?.isAlive ? json(session.person) : problem(401, "invalid_token");
  }

  other(request) {
    if (!request.bearer) return problem(401, "authentication_required");
    return this.sessionOf(request)?.isAlive ? json({ items: [] }) : problem(401, "invalid_token");
  }

  sessionOf({ bearer }) {
    const payload = JSON.parse(Buffer.from((bearer ?? ".e30").split(".")[1], "base64url").toString());
    return this.sessions.get(payload.session_id);
  }
}

/** One browser: its clocks, its tabs, and the network between them and the service. */
export class World {
  wall = Date.UTC(2026, 10, 30, 3, 45);
  mono = 1_000;
  timers = new Map();
  numbers = 0;
  isOffline = false;
  /** Milliseconds that a request takes. */
  latency = 0;
  service = new Service();
  channels = [];
  holder = undefined;
  queue = [];
  tabs = [];
  chance = 0.5;
  /** Turns of Node's loop until everything has happened that needs no time. */
  turns = 12;

  /** Opens a tab; returns its client, with what the tests do to it under `tab`. */
  open({ locks = true, channel = true, isVisible = true, ...options } = {}) {
    const tab = { isVisible, wakers: new Set(), wake: () => tab.wakers.forEach((wake) => wake()) };
    const environment = {
      fetch: (input, init) => this.fetch(input, init),
      now: () => this.wall,
      monotonic: () => this.mono,
      setTimeout: (callback, milliseconds) => this.setTimer(callback, milliseconds),
      clearTimeout: (timer) => this.timers.delete(timer),
      random: () => this.random(),
      randomUUID: () => `key-${++this.numbers}`,
      locks: locks ? { request: (...args) => this.lock(...args) } : undefined,
      openChannel: () => (channel ? this.openChannel() : undefined),
      isVisible: () => tab.isVisible,
      onWake: (listener) => (tab.wakers.add(listener), () => tab.wakers.delete(listener)),
      origin: HOME,
    };
    const client = createClient({ ...options, environment });
    this.tabs.push(client);
    return Object.assign(client, { tab });
  }

  random() {
    return this.chance;
  }

  setTimer(callback, milliseconds) {
    const number = ++this.numbers;
    this.timers.set(number, { at: this.mono + Math.max(0, milliseconds), callback });
    return number;
  }

  /** Time passes, and every timer fires in its turn. */
  async pass(milliseconds) {
    const end = this.mono + milliseconds;
    await settle(this.turns);
    for (;;) {
      const [number, timer] = this.nextTimer();
      if (!timer || timer.at > end) break;
      this.move(timer.at - this.mono);
      this.timers.delete(number);
      timer.callback();
      await settle(this.turns);
    }
    this.move(end - this.mono);
    await settle(this.turns);
  }

  /** Of those at the same time, the one that was set first. */
  nextTimer() {
    let next = [];
    for (const entry of this.timers) if (!next[1] || entry[1].at < next[1].at) next = entry;
    return next;
  }

  /** The outcome of something that needs a little time. */
  async run(promise, milliseconds = 200) {
    const outcome = promise.then(
      (value) => ({ value }),
      (error) => ({ error }),
    );
    await this.pass(milliseconds);
    const { value, error } = await Promise.race([
      outcome,
      settle().then(() => ({ error: new Error("it takes longer") })),
    ]);
    if (error) throw error;
    return value;
  }

  move(milliseconds) {
    if (milliseconds <= 0) return;
    this.mono += milliseconds;
    this.wall += milliseconds;
  }

  /** The computer sleeps: the wall clock goes on, the monotonic one and the timers stand still. */
  sleep(milliseconds) {
    this.wall += milliseconds;
  }

  wait(milliseconds) {
    return new Promise((resolve) => this.setTimer(resolve, milliseconds));
  }

  async fetch(input, init) {
    const request = new Request(input instanceof Request ? input : new URL(String(input), HOME), init);
    if (this.isOffline) throw new TypeError("Failed to fetch");
    const url = new URL(request.url);
    const text = await request.text();
    const entry = {
      method: request.method,
      path: url.origin === HOME ? url.pathname : url.href,
      search: url.search,
      headers: request.headers,
      bearer: request.headers.get("authorization")?.replace("Bearer ", ""),
      credentials: request.credentials,
      text,
      body: text.startsWith("{") ? JSON.parse(text) : undefined,
    };
    const response = await this.service.respond(entry);
    if (this.latency) await Promise.race([this.wait(this.latency), aborted(init?.signal)]);
    if (init?.signal?.aborted) throw init.signal.reason;
    return response;
  }

  lock(_name, { signal }, callback) {
    return new Promise((resolve, reject) => {
      const entry = { callback, resolve, reject };
      signal.addEventListener("abort", () => {
        const index = this.queue.indexOf(entry);
        if (index >= 0) this.queue.splice(index, 1);
        if (this.holder !== entry) reject(signal.reason);
      });
      this.queue.push(entry);
      this.grant();
    });
  }

  grant() {
    if (this.holder || this.queue.length === 0) return;
    const entry = this.queue.shift();
    this.holder = entry;
    queueMicrotask(async () => {
      await Promise.resolve().then(entry.callback).then(entry.resolve, entry.reject);
      this.holder = undefined;
      this.grant();
    });
  }

  openChannel() {
    const channel = { onmessage: null, sent: [], isOpen: true, isHeld: false };
    channel.postMessage = (message) => {
      channel.sent.push(message);
      for (const other of this.channels.filter((each) => each !== channel)) {
        setImmediate(() => other.onmessage?.({ data: structuredClone(message) }));
      }
    };
    channel.close = () => this.channels.splice(this.channels.indexOf(channel), 1);
    this.channels.push(channel);
    return channel;
  }
}

function aborted(signal) {
  return new Promise((_, reject) => signal?.addEventListener("abort", () => reject(signal.reason)));
}

/** A world in which Asha is signed in, in so many tabs. */
export async function signedIn(options = {}) {
  const world = new World();
  world.service.signIn(ASHA);
  const client = world.open(options);
  client.start();
  await world.pass(100);
  return { world, client, service: world.service };
}
