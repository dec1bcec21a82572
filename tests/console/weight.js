// What the console weighs, as browsers get it: compressed.
import fs from "node:fs";
import path from "node:path";
import zlib from "node:zlib";

const KB = 1024;
const dist = process.argv[2];
const assets = path.join(dist, "assets");
const weigh = (file) => zlib.gzipSync(fs.readFileSync(file), { level: 9 }).length;
const sum = (files) => files.reduce((total, file) => total + weigh(file), 0);
const all = fs.readdirSync(assets).map((name) => path.join(assets, name));
const named = [...fs.readFileSync(path.join(dist, "index.html"), "utf8").matchAll(/\/(assets\/[^"]+)/g)].map(([, name]) => path.join(dist, name));

const limits = [
  ["what /login loads", sum([...named, path.join(dist, "index.html")]), 110],
  ["styles of the first page", sum(named.filter((name) => name.endsWith(".css"))), 12],
  ["everything", sum(all), 220],
];
let isTooHeavy = false;
for (const [what, bytes, limit] of limits) {
  console.log(`${what}: ${(bytes / KB).toFixed(1)} KB of ${limit} KB`);
  isTooHeavy ||= bytes > limit * KB;
}
const fonts = all.filter((name) => /\.(woff2?|ttf|otf)$/.test(name));
if (fonts.length > 0) console.log(`fonts: ${fonts}`);
process.exit(isTooHeavy || fonts.length > 0 ? 1 : 0);
