import { describe, expect, it } from "vitest";

import { traceUrl } from "./trace.ts";

describe("traceUrl", () => {
  it("puts the id in, whatever it holds", () => {
    expect(traceUrl("https://t.test/trace/{trace_id}?x=1", "a/b")).toBe("https://t.test/trace/a%2Fb?x=1");
  });

  it("is nothing without a template, without an id, and never a script", () => {
    expect(traceUrl(null, "a")).toBeNull();
    expect(traceUrl("https://t.test/{trace_id}", "")).toBeNull();
    expect(traceUrl("javascript:{trace_id}", "alert(1)")).toBeNull();
  });
});
