import { expect, test } from "vitest";

import { exportWords, isLost } from "./exportWords.ts";

const running = { rows: 10_000_000, sent: 12_000, is_over: false, incomplete: null };

test("a file says how far it is, and at its end whether it is all", () => {
  expect(exportWords(undefined, 0)).toBe("The file is begun…");
  expect(exportWords(running, 0)).toBe("12,000 of 10,000,000 rows");
  expect(exportWords({ ...running, rows: null }, 0)).toBe("12,000 rows so far");
  expect(exportWords({ ...running, sent: 10_000_000, is_over: true }, 60_000)).toBe("All 10,000,000 rows");
  const cut = { ...running, is_over: true, incomplete: "it was cancelled" };
  expect(exportWords(cut, 0)).toBe("Not all: 12,000 rows, then it was cancelled");
});

test("a file of which nothing is heard is not said to go on", () => {
  expect(exportWords(running, 30_000)).toContain("cannot be told now");
  expect(exportWords(undefined, 30_000)).toContain("cannot be told now");
  expect(isLost(running, 30_000)).toBe(true);
  expect(isLost({ ...running, is_over: true }, 30_000)).toBe(false);
});
