// Fails when the JavaScript that the page needs before its first view is over the budget.
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const BUDGET_BYTES = 150 * 1000;
const dist = new URL("../dist/", import.meta.url);

const html = readFileSync(new URL("index.html", dist), "utf8");
const initial = [...html.matchAll(/(?:src|href)="\.\/(assets\/[^"]+\.js)"/g)].map((match) => match[1]);
if (initial.length === 0) throw new Error("dist/index.html names no script: was the page built?");

let total = 0;
for (const path of initial) {
  const bytes = gzipSync(readFileSync(new URL(path, dist)), { level: 9 }).length;
  total += bytes;
  process.stdout.write(`${(bytes / 1000).toFixed(1).padStart(8)} kB gzipped  ${path}\n`);
}
const verdict = total <= BUDGET_BYTES ? "within" : "OVER";
process.stdout.write(
  `${(total / 1000).toFixed(1).padStart(8)} kB gzipped  initial JS, ${verdict} the budget of ${BUDGET_BYTES / 1000} kB\n`,
);
if (total > BUDGET_BYTES) process.exit(1);
