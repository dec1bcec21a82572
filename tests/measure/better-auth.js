// better-auth as a server: e-mail and password, Argon2id by @node-rs/argon2 with the product's parameters, sessions on a
// SQLite file.
import http from "node:http";
import { DatabaseSync } from "node:sqlite";
import { hash, verify } from "@node-rs/argon2";
import { betterAuth } from "better-auth";
import { getMigrations } from "better-auth/db/migration";
import { toNodeHandler } from "better-auth/node";

const [file, secret] = process.argv.slice(2);
const cost = { memoryCost: 19_456, timeCost: 2, parallelism: 1 };

const server = http.createServer().listen(0, "127.0.0.1", async () => {
  const options = {
    baseURL: `http://127.0.0.1:${server.address().port}`,
    secret,
    database: new DatabaseSync(file),
    telemetry: { enabled: false },
    rateLimit: { enabled: false },
    emailAndPassword: {
      enabled: true,
      password: {
        hash: (password) => hash(password, cost),
        verify: ({ hash: known, password }) => verify(known, password),
      },
    },
  };
  await (await getMigrations(options)).runMigrations();
  server.on("request", toNodeHandler(betterAuth(options)));
  console.log(`listens on ${options.baseURL}`);
});
