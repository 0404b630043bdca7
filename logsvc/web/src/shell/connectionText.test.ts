import { describe, expect, it } from "vitest";

import { connectionText } from "./connectionText.ts";

const NOW = 1_000_000;

describe("connectionText", () => {
  it("says how far behind the rows are while they come", () => {
    const live = { state: { status: "live", via: "websocket" }, lagMs: 85, rowsAt: NOW - 2_000 } as const;
    expect(connectionText(live, NOW)).toMatchObject({ tone: "good", short: "Live", lag: "85 ms" });
    expect(connectionText({ ...live, rowsAt: NOW - 60_000 }, NOW).lag).toBe("");
  });

  it("counts down, and never below zero", () => {
    const lost = {
      state: { status: "reconnecting", retryAt: NOW + 3_200, attempt: 2 },
      lagMs: null,
      rowsAt: null,
    } as const;
    expect(connectionText(lost, NOW)).toMatchObject({ tone: "bad", short: "Retry in 4 s" });
    expect(connectionText(lost, NOW + 60_000).short).toBe("Retry in 0 s");
  });

  it("says for how long nothing was heard", () => {
    const stale = { state: { status: "stale", since: NOW - 24_000 }, lagMs: 85, rowsAt: NOW } as const;
    expect(connectionText(stale, NOW)).toMatchObject({ tone: "waiting", short: "Silent for 24 s" });
  });
});
