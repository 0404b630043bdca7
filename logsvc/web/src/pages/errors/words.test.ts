import { describe, expect, it } from "vitest";

import type { ErrorGroup } from "../../api/errors.ts";
import { broughtBy, changeOf, failuresOf, handlingOf } from "./words.ts";

const NOW = Date.parse("2026-11-22T12:00:00Z");
const group = { failures: 30, failures_before: 10, is_new: false } as ErrorGroup;

describe("what is said of an error", () => {
  it("compares it with the time before", () => {
    expect(changeOf(group).text).toBe("3 times as many as before");
    expect(changeOf({ ...group, failures_before: 0 }).text).toBe("back again");
    expect(changeOf({ ...group, is_new: true }).text).toBe("new");
    expect(changeOf({ ...group, failures: 5 }).text).toBe("fewer: 10 before");
    expect(changeOf({ ...group, failures: 11 }).text).toBe("about as before");
  });

  it("tells attempts from jobs that failed for good", () => {
    expect(failuresOf({ failures: 12, final_failures: 3 })).toBe("12 failures, 3 for good");
    expect(failuresOf({ failures: 1, final_failures: 1 })).toBe("1 failure, for good");
    expect(failuresOf({ failures: 2, final_failures: 0 })).toBe("2 failures, none for good");
  });

  it("does not take unknown for nobody", () => {
    expect(handlingOf({ handling: { is_known: false, last: null } }, NOW)).toContain("Not known now");
    expect(handlingOf({ handling: { is_known: true, last: null } }, NOW)).toBe("Nobody has dealt with it yet");
    const last = { by: "Ann", how: "acked", at: "2026-11-22T11:00:00Z", note: "card provider" };
    expect(handlingOf({ handling: { is_known: true, last } }, NOW)).toBe("acked by Ann 1 h ago: “card provider”");
  });

  it("blames a deploy only if it was just before", () => {
    const marker = { id: "m", ts: "2026-11-22T09:56:00Z", env: "prod", service: "shop", version: "3", by: "CI" };
    expect(broughtBy({ marker_before: marker, first_seen: "2026-11-22T10:00:00Z" })).toBe("4 min after shop 3 (CI)");
    expect(broughtBy({ marker_before: marker, first_seen: "2026-11-24T10:00:00Z" })).toBe("");
    expect(broughtBy({ marker_before: null, first_seen: "2026-11-24T10:00:00Z" })).toBe("");
  });
});
