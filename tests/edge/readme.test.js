// What edge/README.md shows a service to do, done: the FastAPI snippet behind the edge. (`cargo test` runs the Rust.)

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { Edge } from "./edge.js";
import { serviceKey } from "./proof.js";
import { ROOT, TARGET } from "./tools.js";

const readme = fs.readFileSync(path.join(ROOT, "edge/README.md"), "utf8");
const children = [];
after(() => children.forEach((child) => child.kill()));

async function service() {
  const [, code] = /^```python\n(.*?)^```/ms.exec(readme);
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "edge-readme-"));
  fs.writeFileSync(path.join(folder, "service.py"), code);
  const child = spawn(
    path.join(TARGET, "venv/bin/python"),
    ["-m", "uvicorn", "--port", "0", "--app-dir", folder, "service:app"],
    { env: { ...process.env, SERVICE_PROOF_KEYS: serviceKey("portfolio") }, stdio: ["ignore", "ignore", "pipe"] },
  );
  children.push(child);
  let log = "";
  return new Promise((resolve, reject) => {
    child.stderr.on("data", (data) => {
      log += data;
      const found = /running on (http:\S+)/.exec(log);
      if (found) resolve(found[1]);
    });
    child.on("exit", () => reject(new Error(log)));
  });
}

test("the FastAPI service believes the edge and nobody else", async () => {
  const upstream = await service();
  const edge = await Edge.start({ routes: [{ prefix: "/v1/portfolio/fastapi", service: "portfolio", upstreams: [upstream] }] });
  try {
    for (const target of ["/v1/portfolio/fastapi/x", "/v1/portfolio/fastapi/a%20b?q=%2F&r=1,2", "/v1/portfolio/fastapi/caf%C3%A9"]) {
      const answer = await edge.as({ email: "zoë@example.com" }, target);
      assert.deepEqual([answer.status, answer.json], [200, { owner: "usr_alice" }], target);
    }
    const { json: echoed } = await edge.as({}, "/v1/portfolio/other");
    const proven = Object.fromEntries(Object.entries(echoed.headers).filter(([name]) => name.startsWith("x-")));
    const direct = async (headers, target = "/v1/portfolio/other") => (await fetch(upstream + target, { headers })).status;
    assert.equal(await direct(proven), 200);
    assert.equal(await direct({}), 403);
    assert.equal(await direct(proven, "/v1/portfolio/elsewhere"), 403);
    for (const name of ["x-user-id", "x-user-roles", "x-user-email", "x-session-id", "x-auth-method", "x-request-id"]) {
      assert.equal(await direct({ ...proven, [name]: "admin" }), 403, `${name} is not signed`);
    }
    const { "x-edge-proof": proof } = proven;
    for (const other of ["", "v2", proof.replace("v2", "v1"), proof.replace("k=1", "k=2"), proof.replace("n=", "n=0"), proof.slice(0, -1), proof.replace(/t=\d+/, "t=1"), proof.replace("t=", "t=-")]) {
      assert.equal(await direct({ ...proven, "x-edge-proof": other }), 403, other);
    }
  } finally {
    await edge.close();
  }
});

test("the README names every variable and every code", () => {
  const source = (name) => fs.readFileSync(path.join(ROOT, "edge/worker/src", name), "utf8");
  const [settings] = source("settings.rs").split("#[cfg(test)]");
  const variables = new Set([...settings.matchAll(/"([A-Z][A-Z_]{4,})"/g)].map(([, name]) => name));
  const codes = new Set([...source("problem.rs").matchAll(/\(?\s*"([a-z_]{6,})",\s*\d{3}/g)].map(([, word]) => word));
  assert.ok(variables.size >= 12 && codes.size >= 12, `${variables.size} ${codes.size}`);
  for (const name of [...variables, ...codes]) {
    if (name !== "internal_error") assert.ok(readme.includes(`\`${name}\``), name);
  }
});
