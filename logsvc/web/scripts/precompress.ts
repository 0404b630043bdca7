import { readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { brotliCompress, gzip } from "node:zlib";
import type { Plugin } from "vite";

const gzipAsync = promisify(gzip);
const brotliAsync = promisify(brotliCompress);

/** Smaller files gain nothing once the headers are counted. */
const MIN_BYTES = 1024;

/**
 * Write `.gz` and `.br` beside every text asset of the build.
 *
 * index.html is left out: the server rewrites its `<base href>` before sending it.
 */
export function precompress(): Plugin {
  let outDir = "";
  return {
    name: "tocsin-precompress",
    apply: "build",
    configResolved(config) {
      outDir = join(config.root, config.build.outDir, config.build.assetsDir);
    },
    async closeBundle() {
      const names = (await readdir(outDir)).filter((name) => /\.(js|css|svg)$/.test(name));
      await Promise.all(
        names.map(async (name) => {
          const file = join(outDir, name);
          const bytes = await readFile(file);
          if (bytes.length < MIN_BYTES) return;
          await Promise.all([
            gzipAsync(bytes, { level: 9 }).then((packed) => writeFile(`${file}.gz`, packed)),
            brotliAsync(bytes).then((packed) => writeFile(`${file}.br`, packed)),
          ]);
        }),
      );
    },
  };
}
