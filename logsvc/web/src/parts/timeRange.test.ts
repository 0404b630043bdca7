import { describe, expect, it } from "vitest";

import { fieldOf, timeOfField, rangeFromSearch, rangeParams, rangeWords, searchWithRange, wider } from "./timeRange.ts";

describe("a range in an address", () => {
  it("is read, and written back beside what else is there", () => {
    const between = rangeFromSearch("?from=2026-11-22T12:00:00.000Z&to=2026-11-22T13:00:00.000Z");
    expect(between).toEqual({ from: Date.UTC(2026, 10, 22, 12), to: Date.UTC(2026, 10, 22, 13) });
    expect(searchWithRange("?queue=a&range=6h", between)).toBe(
      "?queue=a&from=2026-11-22T12:00:00.000Z&to=2026-11-22T13:00:00.000Z",
    );
    expect(searchWithRange("?queue=a", { span: "6h" })).toBe("?queue=a&range=6h");
    expect(searchWithRange("?range=6h", null)).toBe("");
  });

  it("is none where it is nonsense", () => {
    for (const search of ["", "?range=2y", "?from=x&to=y", "?from=2026-11-22T13:00:00Z&to=2026-11-22T12:00:00Z"]) {
      expect(rangeFromSearch(search)).toBeNull();
    }
  });

  it("has words for a sentence", () => {
    expect(rangeWords({ span: "30d" })).toBe("the last 30 days");
    expect(rangeWords({ from: 1, to: 2 })).toBe("the time chosen");
  });

  it("reaches back from now, or holds both ends", () => {
    expect(rangeParams({ span: "1h" }, 10_000_000)).toEqual({ from: "6400000" });
    expect(rangeParams({ from: 1.5, to: 2.5 }, 0)).toEqual({ from: "1", to: "3" });
  });

  it("is made wider around its middle, but not past now", () => {
    expect(wider({ from: 400, to: 500 }, 10_000)).toEqual({ from: 300, to: 600 });
    expect(wider({ from: 400, to: 500 }, 520)).toEqual({ from: 220, to: 520 });
  });
});

it("reads back what a field of a time is given, in either zone", () => {
  const time = Date.parse("2026-11-22T12:34:56Z");
  expect(fieldOf(time, "utc")).toBe("2026-11-22T12:34");
  for (const zone of ["utc", "local"] as const) {
    expect(timeOfField(fieldOf(time, zone), zone)).toBe(time - 56_000);
    expect(timeOfField("", zone)).toBeNaN();
  }
});
