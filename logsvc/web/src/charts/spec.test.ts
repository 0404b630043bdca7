import { describe, expect, it } from "vitest";

import { bucketAt, sayBucket, sayTicks, stacked, type ChartSpec } from "./spec.ts";

const SPEC: ChartSpec = {
  kind: "bars",
  times: [0, 60_000, 120_000],
  bucketMs: 60_000,
  series: [
    { name: "error", tone: "error", values: [3, 0, null] },
    { name: "info", tone: "info", values: [10, 0, 4] },
  ],
  markers: [],
  zone: "utc",
  scheme: "light",
  height: 80,
  say: String,
};

describe("a chart's numbers", () => {
  it("are said without what is not there", () => {
    expect(sayBucket(SPEC, 0)).toBe("error 3, info 10");
    expect(sayBucket(SPEC, 1)).toBe("nothing");
    expect(sayBucket(SPEC, 2)).toBe("info 4");
    expect(sayBucket({ ...SPEC, kind: "lines" }, 1)).toBe("error 0, info 0");
  });

  it("are said once along an axis", () => {
    expect(sayTicks([0, 0.5, 1, 1.2, 2], (value) => `${Math.round(value)} ms`)).toEqual([
      "0 ms",
      "1 ms",
      "",
      "",
      "2 ms",
    ]);
  });

  it("are stacked from the bottom", () => {
    expect(stacked(SPEC.series)).toEqual([
      [3, 0, 0],
      [13, 0, 4],
    ]);
  });

  it("are found by their time", () => {
    expect([-1, 0, 59_999, 60_000, 179_999, 180_000].map((time) => bucketAt(SPEC, time))).toEqual([-1, 0, 0, 1, 2, -1]);
  });
});
