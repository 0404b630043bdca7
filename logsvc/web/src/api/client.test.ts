import { afterEach, describe, expect, it, vi } from "vitest";

import { ApiError, getJson, retryMs } from "./client.ts";

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

describe("getJson", () => {
  afterEach(() => vi.unstubAllGlobals());

  it("takes a proxy's own page for no answer, and asks again", async () => {
    const page = new Response("<html>Log in</html>", { status: 200, headers: { "content-type": "text/html" } });
    vi.stubGlobal("fetch", () => Promise.resolve(page));
    const error: unknown = await getJson(new URL("https://tocsin.invalid/")).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ApiError);
    expect(error).toMatchObject({ status: 0, message: expect.stringContaining("a proxy") as string });
    expect(retryMs(error)).toBe(5_000);
  });
});
