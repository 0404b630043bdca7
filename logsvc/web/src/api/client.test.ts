import { describe, expect, it } from "vitest";

import { ApiError, retryMs } from "./client.ts";

describe("retryMs", () => {
  it("asks again for what was away, as soon as the server says", () => {
    expect(retryMs(new ApiError(0, "unreachable"))).toBe(5_000);
    expect(retryMs(new ApiError(503, "history is away", 7))).toBe(7_000);
    expect(retryMs(new ApiError(429, "too many", 2))).toBe(2_000);
  });

  it("does not ask again for what would be the same", () => {
    for (const status of [400, 401, 403, 404, 422]) expect(retryMs(new ApiError(status, "no"))).toBe(false);
    expect(retryMs(null)).toBe(false);
    expect(retryMs(new Error("a bug"))).toBe(false);
  });
});
