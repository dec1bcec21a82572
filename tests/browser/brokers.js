// The brokers on loopback for the stories of the console: tests/brokers/fake.py, run from the top of the repository.
import { spawn } from "node:child_process";
import path from "node:path";
import readline from "node:readline";

/** Keys that the brokers accept. */
export const KITE = { user: "AB1234", key: "kitekeyofasha9f3c", secret: "kitesecretofasha-hunter2" };
export const ALPACA = { user: "PA3ASHA0001", key: "PKALPACAKEYOFASHA9F3", secret: "alpacasecretofasha-hunter2" };
export const UPSTOX = { user: "UP1234", key: "upstoxkeyofasha9f3c", secret: "upstoxsecretofasha-hunter2" };

/** Starts the brokers; returns where they are, what the service has to be told of them, and what ends them. */
export async function startBrokers() {
  const child = spawn("python3", ["-u", path.resolve("tests/brokers/fake.py")], { stdio: ["ignore", "pipe", "inherit"] });
  const lines = readline.createInterface({ input: child.stdout });
  const [url] = await new Promise((told) => lines.once("line", (line) => told(line.match(/http\S+/))));
  const variables = {
    DHAN_API_URL: `${url}/dhan/v2`,
    DHAN_AUTH_URL: `${url}/dhan-auth`,
    FYERS_API_URL: `${url}/fyers`,
    UPSTOX_API_URL: `${url}/upstox`,
    KITE_API_URL: url,
    KITE_LOGIN_URL: `${url}/connect/login`,
    ALPACA_API_URL: url,
    ALPACA_PAPER_API_URL: url,
  };
  /** Decides how the brokers behave from now on. */
  const are = (state) => fetch(`${url}/_control`, { method: "POST", body: JSON.stringify(state) });
  return { url, variables, are, stop: () => child.kill("SIGKILL") };
}
