// The build of the console: the same bytes on every machine, nothing inlined, nothing fetched from elsewhere.
import { fileURLToPath } from "node:url";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const client = fileURLToPath(new URL("../../../clients/typescript/src", import.meta.url));

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
    license: { fileName: "licenses.md" },
  },
  server: {
    proxy: { "/v1": process.env.PORTCULLIS_URL ?? "http://localhost:8001" },
  },
});
