// A deployment of the template on the engines of tests/with-cloud, under its public names with TLS in front.
import { execFile, execFileSync, spawn } from "node:child_process";
import fs from "node:fs";
import http from "node:http";
import https from "node:https";
import os from "node:os";
import path from "node:path";
import readline from "node:readline";
import { setTimeout as wait } from "node:timers/promises";
import { promisify } from "node:util";

const { BINARIES, SMOKE, STACK, STACK_PYTHON, AWS_ENDPOINT_URL } = process.env;
// What a deployment has is in its variables; of this process it gets where the engines are, and nothing else.
const ENGINES = Object.fromEntries(Object.entries(process.env).filter(([name]) => /^(AWS_|PATH$|HOME$|NO_PROXY$)/.test(name)));

/** Deploys the template; returns where its API listens, and what stops it. */
export async function deploy() {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "deployment-"));
  const document = path.join(folder, "stack.json");
  await promisify(execFile)(STACK_PYTHON, [STACK, document], { env: { ...ENGINES, AWS_DEFAULT_REGION: ENGINES.AWS_REGION } });
  const env = { ...ENGINES, DEPLOYMENT: document, DATA_DIR: path.join(folder, "data"), LISTEN_ADDR: "127.0.0.1:0" };
  const child = spawn(path.join(BINARIES, "portcullis-gateway"), { env, stdio: ["ignore", "pipe", "inherit"] });
  const stop = () => {
    child.kill();
    fs.rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  };
  for await (const line of readline.createInterface({ input: child.stdout })) {
    const url = line.match(/^Portcullis listens on (\S+)/)?.[1];
    if (url) {
      child.stdout.resume();
      return { url, folder, stop };
    }
  }
  stop();
  throw new Error("the gateway did not start");
}

/** Runs `manage-users` with this on its standard input; returns what it printed. No variable of a deployment is there. */
export function manageUsers(line, input = "") {
  return execFileSync(path.join(BINARIES, "manage-users"), line, { env: ENGINES, input, encoding: "utf8" });
}

/** Runs the smoke test of operators; returns what it printed, and fails when it does. */
export async function smoke(cloud) {
  const line = [SMOKE, cloud.url, "--manage-users", `${path.join(BINARIES, "manage-users")} --table portcullis-dev`];
  return (await promisify(execFile)("python3", line, { env: ENGINES })).stdout;
}

/** Rotates the secrets as Secrets Manager does, which the stack asks for when it is made. */
export async function rotate(cloud) {
  for (const Step of ["createSecret", "setSecret", "testSecret", "finishSecret"]) {
    const event = { Step, SecretId: "portcullis/dev", ClientRequestToken: "00000000-0000-4000-8000-000000000001" };
    const headers = { "content-type": "application/json" };
    const response = await fetch(`${cloud.url}/_test/invoke/KeyRotationFunction`, { method: "POST", headers, body: JSON.stringify(event) });
    if (!response.ok) throw new Error(`${Step}: ${await response.text()}`);
  }
}

/** Returns the entries of a secret. The engine wants a signature to be there and takes any. */
export async function secret(name) {
  const signature = "Credential=test/20261121/ap-south-1/secretsmanager/aws4_request, SignedHeaders=host, Signature=00";
  const headers = {
    "content-type": "application/x-amz-json-1.1",
    "x-amz-target": "secretsmanager.GetSecretValue",
    authorization: `AWS4-HMAC-SHA256 ${signature}`,
  };
  const response = await fetch(AWS_ENDPOINT_URL, { method: "POST", headers, body: JSON.stringify({ SecretId: name, VersionStage: "AWSCURRENT" }) });
  return JSON.parse((await response.json()).SecretString);
}

/** Returns the link of the newest mail that SES took for this address, once it is there and is not this older one. */
export async function mailedLink(address, older) {
  for (let tries = 0; tries < 200; tries += 1) {
    const kept = await (await fetch(`${AWS_ENDPOINT_URL}/moto-api/data.json`)).json();
    const mails = (kept.ses?.Message ?? []).filter(({ destinations }) => JSON.stringify(destinations).includes(address));
    // Notifications in between have none.
    const link = JSON.stringify(mails).match(/https:\/\/[^\s"\\]+#token=[\w-]+/g)?.at(-1);
    if (link && link !== older) return link;
    await wait(50);
  }
  throw new Error(`no mail to ${address} with a link`);
}

/** A server with TLS in front of this handler; returns its port and what closes it. */
export async function withTls(folder, handler) {
  const [key, cert] = ["key.pem", "cert.pem"].map((name) => path.join(folder, name));
  if (!fs.existsSync(cert)) {
    const made = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=example.com"];
    execFileSync("openssl", ["req", "-x509", ...made, "-keyout", key, "-out", cert], { stdio: "ignore" });
  }
  const server = https.createServer({ key: fs.readFileSync(key), cert: fs.readFileSync(cert) }, handler);
  await new Promise((listens) => server.listen(0, "127.0.0.1", listens));
  return { port: server.address().port, close: () => (server.close(), server.closeAllConnections()) };
}

/** A handler that hands every request to this address, as it came. */
export function handTo(url) {
  return (request, response) => {
    const { method, headers, url: target } = request;
    const onward = http.request(url + target, { method, headers }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    onward.on("error", () => response.destroy());
    request.pipe(onward);
  };
}
