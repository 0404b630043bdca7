import { describe, expect, it } from "vitest";

import { backoffMs } from "./backoff.ts";

describe("backoffMs", () => {
  it("doubles and stops growing at 15 s", () => {
    const longest = [1, 2, 3, 4, 5, 6, 7, 50].map((attempt) => backoffMs(attempt, () => 1));
    expect(longest).toEqual([500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000]);
  });

  it("never waits less than half", () => {
    expect(backoffMs(1, () => 0)).toBe(250);
    expect(backoffMs(9, () => 0)).toBe(7_500);
  });
});
