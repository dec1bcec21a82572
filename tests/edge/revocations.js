// The pages of the feed of revocations, written a second time to check the first.

import { createHash } from "node:crypto";

const SLOT = 8192;
const OVERLAP = 6000;

/// An id as the identity service makes them, always the same for a name.
export const id = (prefix, name) => `${prefix}_${createHash("sha256").update(name).digest("hex").slice(0, 32)}`;

const low64 = (number) => BigInt.asUintN(64, number);

export function key(id) {
  const number = BigInt(`0x${id.slice(4)}`);
  const low = low64(number);
  return low64((low << 2n) | (low >> 62n)) ^ low64((number >> 64n) * 0x9e3779b97f4a7c15n);
}

/// Where the page that ends at `now` begins.
export const newestFrom = (now) => Math.floor((now - OVERLAP) / SLOT) * SLOT;

/// A page of what is given by keys, sorted.
export function encode(from, until, now, sessions, users = []) {
  const page = Buffer.alloc(40 + sessions.length * 8 + users.length * 24);
  page.write("prv1");
  page.writeUInt32LE(965, 4);
  [from, until, now].forEach((time, at) => page.writeBigUInt64LE(BigInt(time), 8 + at * 8));
  page.writeUInt32LE(sessions.length, 32);
  page.writeUInt32LE(users.length, 36);
  sessions.forEach((key, at) => page.writeBigUInt64LE(key, 40 + at * 8));
  users.forEach(({ user, except, epoch, seconds }, at) => {
    const place = 40 + sessions.length * 8 + at * 24;
    page.writeBigUInt64LE(user, place);
    page.writeBigUInt64LE(except, place + 8);
    page.writeUInt32LE(epoch, place + 16);
    page.writeUInt32LE(seconds, place + 20);
  });
  return page;
}

const byNumber = (a, b) => (a < b ? -1 : Number(a > b));

/// What a withdrawn key is listed under.
const keyOfKid = (kid) => Buffer.from(kid).readBigUInt64LE();

/// In place of the session that goes on: that somebody's broker credentials are frozen. The account 0 is everybody.
const FROZEN = 0xffffffffffffffffn;
const frozenEntry = (user) => ({ user: user === "everybody" ? 0n : key(user), except: FROZEN, epoch: 0, seconds: 0 });

/// The page of these entries that the service would give at `now`. The one that ends then tells of withdrawn keys, too, and of
/// who is frozen.
export function revocationPage(entries, now, after = newestFrom(now), until = now, { withdrawn = [], frozen = [] } = {}) {
  const end = Math.min(until, now);
  const there = entries.filter(({ at }) => at >= after && at < end);
  const sessions = there.filter(({ session }) => session).map(({ session }) => key(session));
  sessions.push(...withdrawn.map(keyOfKid));
  const users = there
    .filter(({ user }) => user)
    .map(({ user, epoch, except, at }) => ({ user: key(user), except: except ? key(except) : 0n, epoch, seconds: Math.floor(at / 1000) }));
  users.push(...frozen.map(frozenEntry));
  return encode(after, end, now, sessions.sort(byNumber), users.sort((a, b) => byNumber(a.user, b.user)));
}
