// What is written after the OpenAPI document says what the document says.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { takesToken, usesCookies } from "../dist/api.js";

const FOLDER = path.join(import.meta.dirname, "..");
const DOCUMENT = process.env.OPENAPI ?? path.join(FOLDER, "../../functions/openapi.json");
const document = JSON.parse(fs.readFileSync(DOCUMENT, "utf8"));

test("the committed types are those of the document", () => {
  const generator = path.join(FOLDER, "node_modules/openapi-typescript/bin/cli.js");
  const generated = execFileSync(process.execPath, [generator, DOCUMENT], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  });
  const committed = fs.readFileSync(path.join(FOLDER, "src/api-types.ts"), "utf8");
  assert.ok(generated === committed, "run tests/clients/run types and commit clients/typescript/src/api-types.ts");
});

test("operations get a token exactly where the document wants one", () => {
  for (const [route, operations] of Object.entries(document.paths)) {
    // A browser has no service token, and no page should.
    if (route.startsWith("/v1/internal/")) continue;
    for (const { security = [], operationId } of Object.values(operations)) {
      const isWanted = security.some((choice) => "access_token" in choice);
      assert.equal(takesToken(route), isWanted, operationId);
    }
  }
});

test("operations that set or read a cookie are sent with credentials", () => {
  for (const [route, operations] of Object.entries(document.paths)) {
    for (const { security = [], responses, operationId } of Object.values(operations)) {
      const isSet = Object.values(responses).some(({ headers }) => headers && "Set-Cookie" in headers);
      const isRead = security.some((choice) => "refresh_cookie" in choice);
      if (isSet || isRead) assert.ok(usesCookies(route), operationId);
    }
  }
});
