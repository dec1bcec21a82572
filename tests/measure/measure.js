// Logins beside better-auth, refreshes beside oidc-provider: rounds in turn, and the median of each.
import { randomBytes } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { post, round, start } from "./load.js";

const PORTCULLIS = process.argv[2];
const CLIENTS = 4;
const ROUNDS = 5;
const LIMIT = { seconds: 4, requests: 5_000 };
const PASSWORD = "copper lantern drifts upstream";

const here = import.meta.dirname;
const folder = fs.mkdtempSync(path.join(os.tmpdir(), "measure-"));
process.on("exit", () => fs.rmSync(folder, { recursive: true, force: true }));
const people = Array.from({ length: CLIENTS }, (_, n) => ({
  email: `person${n}@example.com`,
  password: PASSWORD,
  name: "Asha Rao",
}));

async function portcullis() {
  // Every refresh rotates, as the peer's do: within the grace period ours would write nothing.
  const settings = { LISTEN_ADDR: "127.0.0.1:0", RUST_LOG: "error", RATE_LIMIT: "off", REFRESH_REUSE_GRACE: "0" };
  const env = { DATA_DIR: path.join(folder, "data"), ...settings };
  const server = await start(PORTCULLIS, [], env);
  for (const person of people) await post(`${server.url}/v1/auth/register`, person);
  return server;
}

const login = (server) => ({ email, password }) =>
  post(`${server.url}/v1/auth/login`, { email, password, token_delivery: "body" });

async function betterAuth() {
  const arguments_ = [path.join(here, "better-auth.js"), path.join(folder, "peer.db"), randomBytes(32).toString("hex")];
  const server = await start(process.execPath, ["--no-warnings", ...arguments_]);
  for (const person of people) await post(`${server.url}/api/auth/sign-up/email`, person);
  return server;
}

/** A client that refreshes with the token the refresh before gave it; `signed` names the JWTs each response must hold. */
function refresher(url, token, type, signed, more = {}) {
  return async () => {
    const response = await post(url, { ...more, refresh_token: token }, type);
    if (response.refresh_token === token) throw new Error("the refresh token was not rotated");
    for (const name of signed) if (response[name]?.split(".").length !== 3) throw new Error(`${name} is no JWT`);
    token = response.refresh_token;
  };
}

async function logins(server) {
  const peer = await betterAuth();
  return [
    { name: "Portcullis, embedded database on disk", server, clients: people.map((one) => () => login(server)(one)) },
    {
      name: "better-auth, @node-rs/argon2, SQLite",
      server: peer,
      clients: people.map(({ email, password }) => () => post(`${peer.url}/api/auth/sign-in/email`, { email, password })),
    },
  ];
}

async function refreshes(server) {
  const own = await Promise.all(people.map(login(server)));
  const peer = await start(process.execPath, ["--no-warnings", path.join(here, "oidc-provider.js"), `${CLIENTS}`]);
  const tokens = peer.said.filter((line) => line.startsWith("refresh token ")).map((line) => line.split(" ")[2]);
  const form = "application/x-www-form-urlencoded";
  const more = { grant_type: "refresh_token", client_id: "measure" };
  const refresh = `${server.url}/v1/auth/refresh`;
  return [
    {
      name: "Portcullis, embedded database on disk, one token signed",
      server,
      clients: own.map((session) => refresher(refresh, session.refresh_token, "application/json", ["access_token"])),
    },
    {
      name: "oidc-provider, in memory, two tokens signed",
      server: peer,
      clients: tokens.map((token) => refresher(`${peer.url}/token`, token, form, ["access_token", "id_token"], more)),
    },
  ];
}

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

async function compare(what, parties) {
  for (const { server, clients } of parties) await round(server, clients, { seconds: 1, requests: 200 });
  const rounds = parties.map(() => []);
  for (let n = 0; n < ROUNDS; n++) {
    for (const [index, { server, clients }] of parties.entries()) {
      rounds[index].push(await round(server, clients, LIMIT));
    }
  }
  const [ours, peers] = rounds.map((all) => ({
    perSecond: median(all.map((one) => one.perSecond)),
    cpu: median(all.map((one) => one.cpu)),
  }));
  for (const [index, { name }] of parties.entries()) {
    const { perSecond, cpu } = [ours, peers][index];
    const ratios = `${(perSecond / peers.perSecond).toFixed(2)} | ${(cpu / peers.cpu).toFixed(2)}`;
    console.log(`| ${what} | ${name} | ${perSecond.toFixed(0)} | ${cpu.toFixed(2)} | ${ratios} |`);
  }
}

const server = await portcullis();
const [loginParties, refreshParties] = [await logins(server), await refreshes(server)];
console.log(`${CLIENTS} clients, the median of ${ROUNDS} rounds of ${LIMIT.seconds} s, ${os.cpus()[0].model}, ${os.cpus().length} cores\n`);
console.log("| | | a second | CPU ms a request | a second ÷ peer | CPU ÷ peer |\n|---|---|---:|---:|---:|---:|");
await compare("login", loginParties);
await compare("refresh", refreshParties);
process.exit(0);
