// What the package adds to a page: bundled, minified and gzipped, without React. Fails beyond the limit.
import { build } from "esbuild";
import path from "node:path";
import { gzipSync } from "node:zlib";

const LIMIT = 10_000;
const ENTRIES = { "portcullis-client": "index.js", "with portcullis-client/react": "react/index.js" };
const folder = path.join(import.meta.dirname, "../dist");

for (const [name, entry] of Object.entries(ENTRIES)) {
  const source = `export * from ${JSON.stringify(path.join(folder, entry))}; export { createClient } from ${JSON.stringify(path.join(folder, "index.js"))};`;
  const options = { bundle: true, minify: true, format: "esm", write: false, external: ["react", "react/jsx-runtime"] };
  const { outputFiles } = await build({ stdin: { contents: source, resolveDir: folder }, ...options });
  const size = gzipSync(outputFiles[0].contents, { level: 9 }).length;
  console.log(`${name}: ${size} bytes gzipped`);
  if (size > LIMIT) throw new Error(`${name} is larger than ${LIMIT} bytes`);
}
