// The build of the console: the same bytes on every machine, nothing inlined, nothing fetched from elsewhere.
import { fileURLToPath } from "node:url";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const client = fileURLToPath(new URL("../../../clients/typescript/src", import.meta.url));

/** Parts that are needed together: one file of them compresses better than twenty small ones. */
const parts = [
  {
    name: "signed-in",
    test: /@tanstack|components\/(dialog|confirm|card|table|pill|loaded|secret|proof)|api\/lists|frame\/(signed-in|trading|navigation|session-clock|account-menu)/,
  },
  { name: "admin", test: /pages\/admin|messages\/admin\/(en|index)/ },
];

export default defineConfig({
  plugins: [react()],
  resolve: {
    // Sources of the client package that the console is the first user of; React is the console's own copy.
    alias: [
      { find: /^portcullis-client$/, replacement: `${client}/index.ts` },
      { find: /^portcullis-client\/react$/, replacement: `${client}/react/index.tsx` },
    ],
    dedupe: ["react", "react-dom"],
  },
  build: {
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // What these parts need and a sign-in needs as well stays where it is: no more is loaded before one.
    rolldownOptions: { output: { codeSplitting: { includeDependenciesRecursively: false, groups: parts } } },
    license: { fileName: "licenses.md" },
  },
  server: {
    proxy: { "/v1": process.env.PORTCULLIS_URL ?? "http://localhost:8001" },
  },
});
