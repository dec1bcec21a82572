// A browser whose network, channels and locks take times of their own, drawn from a seed, and a service that rotates refresh
// tokens as the real one does. The cookie is that of the browser: a request carries it as it is when it is sent, and a
// response sets it when it arrives, in whatever order that is.
import { ASHA, jwt, LIFETIME, World } from "./world.js";

/** As the service's `REFRESH_REUSE_GRACE`, milliseconds. */
export const GRACE = 30_000;
/** Two requests of five are held, as by functions that start cold. */
const HELD = 0.4;
/** What messages, locks and requests take that nothing holds, milliseconds at most. */
const NOISE = 4;

/** Numbers from 0 to below 1, the same for the same seed (mulberry32). */
export function seeded(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The sessions of a service that rotates: a current token, its predecessor for as long as the grace, and nothing else. */
export class RotatingService {
  refreshes = 0;
  rotations = 0;
  ends = [];
  sessions = new Map();
  issued = 0;

  /** `isPatient` is what spares a current token within the grace; without it the service is one that races sign people out of. */
  constructor(now, { isPatient = true } = {}) {
    this.now = now;
    this.isPatient = isPatient;
  }

  /** Returns the first refresh token of a new session. */
  signIn() {
    const sid = `ses_${this.sessions.size + 1}`;
    const session = { sid, generation: 0, current: `${sid}.0`, previous: undefined, rotatedAt: -Infinity, isAlive: true };
    this.sessions.set(sid, session);
    return session.current;
  }

  /** Returns status, body and the refresh token that the response sets, if it sets one. */
  respond({ path, cookie, bearer }) {
    if (path === "/v1/auth/refresh") return this.refresh(cookie);
    return this.alive(sidOf(bearer)) ? { status: 200, body: ASHA } : { status: 401, body: { code: "invalid_token" } };
  }

  alive(sid) {
    const session = this.sessions.get(sid);
    return session?.isAlive ? session : undefined;
  }

  refresh(presented) {
    const session = this.alive((presented ?? "").split(".")[0]);
    if (!session) return { status: 401, body: { code: "invalid_refresh_token" } };
    const isInGrace = this.now() < session.rotatedAt + GRACE;
    if (presented === session.current && isInGrace && this.isPatient) return this.answer(session);
    if (presented === session.current) return this.rotate(session);
    // What was sent before the rotation arrived after it.
    if (presented === session.previous && isInGrace) return this.answer(session, session.current);
    session.isAlive = false;
    this.ends.push(presented);
    return { status: 401, body: { code: "session_revoked" } };
  }

  rotate(session) {
    this.rotations += 1;
    session.generation += 1;
    session.previous = session.current;
    session.current = `${session.sid}.${session.generation}`;
    session.rotatedAt = this.now();
    return this.answer(session, session.current);
  }

  answer({ sid }, setCookie) {
    this.refreshes += 1;
    const token = jwt(ASHA.user_id, sid, ++this.issued);
    return { status: 200, body: { access_token: token, token_type: "Bearer", expires_in: LIFETIME }, setCookie };
  }
}

function sidOf(bearer = ".e30") {
  return JSON.parse(Buffer.from(bearer.split(".")[1], "base64url").toString()).session_id;
}

/** A browser with so much jitter, in which somebody has just signed in. */
export class JitteryWorld extends World {
  // Nothing here waits for the loop but bodies of responses.
  turns = 2;

  constructor(seed, { jitter = 0, ...options } = {}) {
    super();
    this.draw = seeded(seed);
    this.jitter = jitter;
    this.service = new RotatingService(() => this.mono, options);
    this.cookie = this.service.signIn();
  }

  random() {
    return this.draw();
  }

  /** Within as much time as a request may be held. */
  soon(callback) {
    this.setTimer(callback, this.draw() * (NOISE + this.jitter));
  }

  oneWay() {
    return this.draw() * NOISE + (this.draw() < HELD ? this.draw() * this.jitter : 0);
  }

  async fetch(input, init) {
    const path = typeof input === "string" ? new URL(input, "https://app.example.com").pathname : new URL(input).pathname;
    const bearer = new Headers(init?.headers).get("authorization")?.slice("Bearer ".length);
    const { cookie } = this;
    await this.wait(this.oneWay());
    const { status, body, setCookie } = this.service.respond({ path, cookie, bearer });
    await this.wait(this.oneWay());
    if (setCookie) this.cookie = setCookie;
    return response(status, body);
  }

  /** A lock is passed on by another process of the browser, which takes its time. */
  grant() {
    this.setTimer(() => super.grant(), this.draw() * NOISE);
  }

  openChannel() {
    const channel = super.openChannel();
    channel.postMessage = (message) => {
      for (const other of this.channels.filter((each) => each !== channel)) {
        this.setTimer(() => other.onmessage?.({ data: structuredClone(message) }), this.draw() * NOISE);
      }
    };
    return channel;
  }
}

/** What the client reads of a response. */
function response(status, body) {
  const headers = { "content-type": status === 200 ? "application/json" : "application/problem+json" };
  if (status === 401) headers["www-authenticate"] = 'Bearer error="invalid_token"';
  return new Response(JSON.stringify({ status, detail: body.code, ...body }), { status, headers });
}
