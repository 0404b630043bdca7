// Fails when the JavaScript that some page needs before its first view is over the budget: the frame, and that page's.
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const BUDGET_BYTES = 150 * 1000;
const dist = new URL("../dist/", import.meta.url);
const manifest = JSON.parse(readFileSync(new URL("manifest.json", dist), "utf8"));

const entry = Object.keys(manifest).find((key) => manifest[key].isEntry);
if (entry === undefined) throw new Error("dist/manifest.json has no entry: was the page built?");

/** The files that a chunk needs: its own, and those of what it imports at once. */
function filesOf(key, into = new Set()) {
  const chunk = manifest[key];
  if (into.has(chunk.file)) return into;
  into.add(chunk.file);
  for (const imported of chunk.imports ?? []) filesOf(imported, into);
  return into;
}

const sizes = new Map();
function gzipped(file) {
  if (!sizes.has(file)) sizes.set(file, gzipSync(readFileSync(new URL(file, dist)), { level: 9 }).length);
  return sizes.get(file);
}

/** Whether a chunk, or what it imports at once, loads another by itself. */
function loads(key, wanted, seen = new Set()) {
  if (seen.has(key)) return false;
  seen.add(key);
  const { imports = [], dynamicImports = [] } = manifest[key];
  return (key !== entry && dynamicImports.includes(wanted)) || imports.some((each) => loads(each, wanted, seen));
}

/** A chart loads its drawing at once: it counts for every page that has one. */
const DRAWING = "src/charts/draw.ts";
if (manifest[DRAWING] === undefined) throw new Error(`dist/manifest.json has no ${DRAWING}`);

const frame = filesOf(entry);
const pages = (manifest[entry].dynamicImports ?? []).map((key) => {
  const files = filesOf(key, new Set(frame));
  return [key, loads(key, DRAWING) ? filesOf(DRAWING, files) : files];
});
let worst = 0;
for (const [name, files] of [["the frame alone", frame], ...pages]) {
  const bytes = [...files].reduce((sum, file) => sum + gzipped(file), 0);
  worst = Math.max(worst, bytes);
  process.stdout.write(`${(bytes / 1000).toFixed(1).padStart(8)} kB gzipped  ${name.replace(/^src\//, "")}\n`);
}
const verdict = worst <= BUDGET_BYTES ? "within" : "OVER";
process.stdout.write(`The largest first view is ${verdict} the budget of ${BUDGET_BYTES / 1000} kB.\n`);
if (worst > BUDGET_BYTES) process.exit(1);
