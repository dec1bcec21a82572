// The local service in a folder of its own.
import { spawn } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import readline from "node:readline";

/** Starts the binary with these variables; returns where it listens, where its document is to be tried, its folder, and what ends it. */
export async function start(binary, variables) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "browser-"));
  const env = { ...process.env, DATA_DIR: path.join(folder, "data"), LISTEN_ADDR: "127.0.0.1:0", ...variables };
  const child = spawn(binary, [], { env, stdio: ["ignore", "pipe", "inherit"] });
  const stop = () => {
    child.kill("SIGKILL");
    fs.rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  };
  let url;
  for await (const line of readline.createInterface({ input: child.stdout })) {
    url ??= line.match(/^Portcullis listens on (\S+)/)?.[1];
    const [, docs] = line.match(/^ +try it: +(\S+)/) ?? [];
    if (url && docs) {
      child.stdout.resume();
      return { url, docs, data: env.DATA_DIR, stop };
    }
  }
  stop();
  throw new Error("the service did not start");
}
