import { afterEach, describe, expect, it, vi } from "vitest";

import { navigate, OPEN_STEP, placeOf } from "./router.ts";

afterEach(() => vi.unstubAllGlobals());

it("makes the step of what is open the new place, so that Back leads to where it was opened", () => {
  const history = { state: null as string | null, pushState: vi.fn(), replaceState: vi.fn() };
  vi.stubGlobal("history", history);
  vi.stubGlobal("document", { baseURI: "https://x.test/" });
  vi.stubGlobal("location", { href: "https://x.test/logs" });
  vi.stubGlobal("dispatchEvent", vi.fn());
  navigate("logs", "?q=a");
  expect([history.pushState, history.replaceState].map(({ mock }) => mock.calls.length)).toEqual([1, 0]);
  history.state = OPEN_STEP;
  navigate("logs", "?q=b");
  expect(history.replaceState).toHaveBeenCalledWith(null, "", "https://x.test/logs?q=b");
  expect(history.pushState).toHaveBeenCalledOnce();
});

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
