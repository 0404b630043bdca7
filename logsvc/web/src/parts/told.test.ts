import { expect, it } from "vitest";

import { olderOf, toldWords } from "./told.ts";

const NOW = Date.parse("2026-11-22T12:00:00Z");
const FRESH = "2026-11-22T11:59:58Z";
const OLD = "2026-11-22T11:57:00Z";

it("says how old an answer is, and what was lost of its time", () => {
  expect(toldWords({ asOf: FRESH }, NOW)).toBe("as of 2 s ago");
  expect(toldWords({ asOf: OLD, lost: 218 }, NOW)).toBe("as of 3 min ago · 218 events of this time were lost");
  expect(toldWords({ asOf: null, lost: null }, NOW)).toBe("how fresh this is, is not known");
  expect(toldWords({ asOf: undefined }, NOW)).toBe("");
});

it("is quiet where it is asked to be, and the answer is fresh and whole", () => {
  expect(toldWords({ asOf: FRESH, lost: 0, isQuiet: true }, NOW)).toBe("");
  expect(toldWords({ asOf: FRESH, lost: 1, isQuiet: true }, NOW)).toBe("1 event of this time was lost");
  expect(toldWords({ asOf: OLD, isQuiet: true }, NOW)).toBe("as of 3 min ago");
});

it("says nothing of when a time that is past was told, once it was told whole", () => {
  const to = Date.parse("2026-11-22T11:00:00Z");
  expect(toldWords({ asOf: OLD, range: { from: to - 1, to }, lost: 2 }, NOW)).toBe("2 events of this time were lost");
  expect(toldWords({ asOf: OLD, range: { from: to - 1, to: NOW } }, NOW)).toBe("as of 3 min ago");
});

it("goes by the older of two answers", () => {
  expect(olderOf(FRESH, OLD)).toBe(OLD);
  expect(olderOf(undefined, FRESH)).toBe(FRESH);
  expect(olderOf(null, FRESH)).toBeNull();
});
