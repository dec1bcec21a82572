// The program against the real service, as a page of another origin.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { start } from "./service.js";
import { open, story } from "./story.js";

const PAGE = "http://localhost:3000";

let service;

before(async () => {
  service = await start(process.env.PORTCULLIS, {
    ALLOWED_ORIGINS: PAGE,
    ARGON2_MEMORY_KIB: "64",
    RATE_LIMIT: "off",
    RUST_LOG: "error",
  });
});
after(() => service?.stop());

test("the program signs in, works and signs out", async () => {
  const client = open(service.url, PAGE);
  assert.deepEqual(await story(client), {
    registered: "asha@example.com",
    wrong: "invalid_credentials",
    status: "signed_in",
    sessions: 1,
    isOneAccount: true,
    leases: [],
    recovery: "invalid_mail_token",
    isNewToken: true,
    pointers: ["/phone"],
    confirmed: true,
    after: "signed_out",
  });
  client.close();
});
