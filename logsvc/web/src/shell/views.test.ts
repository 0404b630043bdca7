import { describe, expect, it } from "vitest";

import { placeOfView, queryOfPlace } from "./views.ts";

describe("a saved view", () => {
  it("leads to the page it was saved on", () => {
    const query = queryOfPlace({ path: "logs", search: "?queue=a%2Fb&at=1&row=2" });
    expect(query).toBe("/logs?queue=a%2Fb");
    expect(placeOfView({ query })).toEqual({ path: "logs", search: "?queue=a%2Fb" });
  });

  it("never leads elsewhere, whatever was saved", () => {
    const others = ["//evil.example/logs", "https://evil.example/", "javascript:alert(1)", "/nothing", "/\\["];
    for (const query of others) {
      expect(placeOfView({ query })).toEqual({ path: "logs", search: "" });
    }
  });
});
