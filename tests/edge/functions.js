// The function binaries behind the tests' API Gateway, on the engines of `tests/with-cloud`.

import { spawn } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { TARGET } from "./tools.js";

/// Starts a deployment of its own with these variables. `secrets` is what its secret holds.
export async function deployment(variables = {}) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "functions-"));
  const child = spawn(path.join(TARGET, "debug/portcullis-gateway"), {
    env: { ...process.env, DATA_DIR: folder, LISTEN_ADDR: "127.0.0.1:0", RUST_LOG: "error", ...variables },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const url = await new Promise((resolve, reject) => {
    createInterface(child.stdout).on("line", (line) => {
      const found = /^Portcullis listens on (\S+)/.exec(line);
      if (found) resolve(found[1]);
    });
    child.on("exit", (code) => reject(new Error(`the gateway ended with ${code}`)));
  });
  return {
    url,
    secrets: await secretsOf(`portcullis${folder.replace(/[^A-Za-z0-9]/g, "-")}`),
    close: () =>
      new Promise((resolve) => {
        child.removeAllListeners("exit");
        child.on("exit", resolve);
        child.kill();
      }),
  };
}

/// What the edge is given of the secrets of a deployment.
async function secretsOf(name) {
  return { ...(await secrets(name)), ...(await secrets(`${name}/services`)) };
}

/// The current text of each entry of a secret. The engine wants a signature to be there and takes any.
async function secrets(name) {
  const response = await fetch(process.env.AWS_ENDPOINT_URL, {
    method: "POST",
    headers: {
      "content-type": "application/x-amz-json-1.1",
      "x-amz-target": "secretsmanager.GetSecretValue",
      authorization:
        "AWS4-HMAC-SHA256 Credential=test/20261121/ap-south-1/secretsmanager/aws4_request, SignedHeaders=host, Signature=00",
    },
    body: JSON.stringify({ SecretId: name }),
  });
  const entries = Object.entries(JSON.parse((await response.json()).SecretString));
  return Object.fromEntries(entries.map(([name, entry]) => [name, entry.current ?? entry]));
}
