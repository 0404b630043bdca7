import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

import { precompress } from "./scripts/precompress.ts";

const FRAME = /\/(index|react|client|clock|me|jsx-runtime|rolldown-runtime|useMutation)-[^/]*\.(js|css)$/;

/**
 * `base: "./"` writes relative asset addresses; they resolve against the `<base href="/">` of index.html, which the
 * server rewrites to the path of PUBLIC_URL. So one build serves any sub-path.
 */
export default defineConfig({
  base: "./",
  plugins: [react(), precompress()],
  build: {
    outDir: "dist",
    emptyOutDir: true,
    target: "es2022",
    // Everything is a file of our own origin: the page's Content-Security-Policy needs no data: exception.
    assetsInlineLimit: 0,
    modulePreload: {
      polyfill: false,
      // What the frame is made of is there already: naming it for every page and dialog would cost half a kilobyte.
      resolveDependencies: (_, files) => files.filter((file) => !FRAME.test(file)),
    },
    // Seven characters tell a page's files apart, and each is named in many others.
    rolldownOptions: { output: { chunkFileNames: "assets/[name]-[hash:7].js" } },
    // For scripts/budget.mjs.
    manifest: "manifest.json",
    reportCompressedSize: false,
  },
  server: { host: "127.0.0.1", proxy: { "^/(api|ws)": { target: "http://127.0.0.1:9001", ws: true } } },
});
