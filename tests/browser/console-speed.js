// How fast the sign-in page is: first paint, largest paint, long tasks, shifts, bytes. Measures and asserts nothing, because a
// machine with other work makes any limit wrong; tests/browser/run --speed prints it.
import { launch, startConsole } from "./console.js";

const RUNS = Number(process.env.RUNS ?? 9);
const SLOW_4G = { offline: false, latency: 150, downloadThroughput: 1_600_000 / 8, uploadThroughput: 750_000 / 8 };
const SETTINGS = [
  { name: "as it is" },
  { name: "a quarter of the CPU", cpu: 4 },
  { name: "a quarter of the CPU, slow 4G", cpu: 4, network: SLOW_4G },
];

/** In the page, before anything of it runs: collects what the browser says of the load. */
function observe() {
  const seen = { largest: 0, shifted: 0, tasks: [] };
  globalThis.seen = seen;
  const watch = (type, take) =>
    new PerformanceObserver((list) => list.getEntries().forEach(take)).observe({ type, buffered: true });
  watch("largest-contentful-paint", ({ startTime }) => (seen.largest = startTime));
  watch("layout-shift", ({ value }) => (seen.shifted += value));
  watch("longtask", ({ duration }) => seen.tasks.push(duration));
}

/** In the page: what was collected, times in milliseconds since the navigation began. */
function collected() {
  const { largest, shifted, tasks } = globalThis.seen;
  const [navigation] = performance.getEntriesByType("navigation");
  const first = performance.getEntriesByName("first-contentful-paint")[0].startTime;
  const loads = [navigation, ...performance.getEntriesByType("resource")].filter(({ name }) => !name.includes("/v1/"));
  const bytes = loads.reduce((sum, { transferSize }) => sum + transferSize, 0);
  return { "document after": navigation.responseEnd, "first paint": first, "largest paint": largest, "longest task": Math.max(0, ...tasks), "long tasks": tasks.length, shifted, bytes };
}

async function load(browser, service, { cpu, network }) {
  // A profile that nobody used before: nothing is cached.
  const window = await browser.newContext();
  const page = await window.newPage();
  await page.addInitScript(observe);
  const debug = await window.newCDPSession(page);
  if (cpu) await debug.send("Emulation.setCPUThrottlingRate", { rate: cpu });
  if (network) {
    await debug.send("Network.enable");
    await debug.send("Network.emulateNetworkConditions", network);
  }
  await page.goto(`${service.home}/login`);
  await page.waitForLoadState("networkidle");
  await page.waitForFunction(() => performance.getEntriesByName("first-contentful-paint").length > 0);
  const figures = await page.evaluate(collected);
  await window.close();
  return figures;
}

const middle = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

const service = await startConsole();
const browser = await launch();
await load(browser, service, {});
for (const setting of SETTINGS) {
  const runs = [];
  for (let run = 0; run < RUNS; run += 1) runs.push(await load(browser, service, setting));
  const line = Object.keys(runs[0]).map((name) => {
    const values = runs.map((each) => each[name]);
    const digits = name === "shifted" ? 4 : 0;
    return `${name} ${middle(values).toFixed(digits)} (${Math.min(...values).toFixed(digits)} to ${Math.max(...values).toFixed(digits)})`;
  });
  console.log(`${setting.name}, middle of ${RUNS}: ${line.join(", ")}`);
}
await browser.close();
service.stop();
