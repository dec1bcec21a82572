// A server as a process, requests to it from a fixed number of clients, and what both cost.
import { spawn } from "node:child_process";
import fs from "node:fs";
import http from "node:http";
import { createInterface } from "node:readline";

const TICKS_A_SECOND = 100; // Of /proc/<pid>/stat, on every Linux.

/** Starts a program and returns it once it says where it listens, with what it said before. */
export async function start(command, args, env = {}) {
  const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "inherit"] });
  process.on("exit", () => child.kill());
  const said = [];
  for await (const line of createInterface({ input: child.stdout })) {
    const url = line.match(/listens on (http:\/\/\S+)/)?.[1];
    if (url) return { url, said, pid: child.pid };
    said.push(line);
  }
  throw new Error(`${command} ${args} ended without listening`);
}

const agent = new http.Agent({ keepAlive: true });

/** Posts and returns the parsed JSON; fails on every status but 200 and 201. */
export function post(url, body, type = "application/json") {
  const text = type === "application/json" ? JSON.stringify(body) : new URLSearchParams(body).toString();
  const headers = { "content-type": type, "content-length": Buffer.byteLength(text) };
  return new Promise((resolve, reject) => {
    const request = http.request(url, { method: "POST", agent, headers }, async (response) => {
      let received = "";
      for await (const part of response.setEncoding("utf8")) received += part;
      if (response.statusCode > 201) reject(new Error(`${url}: ${response.statusCode} ${received}`));
      else resolve(JSON.parse(received));
    });
    request.on("error", reject).end(text);
  });
}

/** Returns the CPU time of a process so far, in milliseconds. */
function cpu(pid) {
  const fields = fs.readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / TICKS_A_SECOND;
}

/** Lets every client repeat its request until the time or the number is over. */
export async function round(server, clients, { seconds, requests }) {
  const [begun, spent, until] = [performance.now(), cpu(server.pid), performance.now() + seconds * 1000];
  let done = 0;
  await Promise.all(
    clients.map(async (request) => {
      while (performance.now() < until && done < requests) {
        done += 1;
        await request();
      }
    }),
  );
  return { perSecond: (done * 1000) / (performance.now() - begun), cpu: (cpu(server.pid) - spent) / done };
}
