import { describe, expect, it } from "vitest";

import { placeOf } from "./router.ts";

describe("placeOf", () => {
  it("is the same page under any base", () => {
    expect(placeOf("https://x.test/logs?q=a", "https://x.test/")).toEqual({ path: "logs", search: "?q=a" });
    expect(placeOf("https://x.test/ops/tocsin/logs/", "https://x.test/ops/tocsin/")).toEqual({
      path: "logs",
      search: "",
    });
    expect(placeOf("https://x.test/ops/", "https://x.test/ops/")).toEqual({ path: "", search: "" });
  });
});
