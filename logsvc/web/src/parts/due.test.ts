import { describe, expect, it } from "vitest";

import type { SchedulerItem } from "../api/schedulers.ts";
import { byDue, missedOf, nextOf, rhythmOf } from "./due.ts";

const NOW = Date.parse("2026-11-22T12:00:00Z");

function item(change: Partial<SchedulerItem>): SchedulerItem {
  return {
    scheduler: "s",
    pattern: "",
    every: 300_000,
    timezone: "",
    next_run: "2026-11-22T12:05:00Z",
    is_overdue: false,
    overdue_seconds: 0,
    missed: 0,
    ...change,
  } as SchedulerItem;
}

describe("schedulers", () => {
  it("stand with the most overdue first, then as they are due", () => {
    const items = [
      item({ scheduler: "never", next_run: null }),
      item({ scheduler: "later", next_run: "2026-11-22T13:00:00Z" }),
      item({ scheduler: "soon" }),
      item({ scheduler: "late", is_overdue: true, overdue_seconds: 60 }),
      item({ scheduler: "latest", is_overdue: true, overdue_seconds: 900 }),
    ];
    expect(byDue(items).map(({ scheduler }) => scheduler)).toEqual(["latest", "late", "soon", "later", "never"]);
  });

  it("say when they run and how late they are", () => {
    expect(rhythmOf(item({}))).toBe("every 5 min");
    expect(rhythmOf(item({ pattern: "0 3 * * *", timezone: "UTC" }))).toBe("0 3 * * * UTC");
    expect(nextOf(item({}), NOW)).toBe("in 5 min");
    expect(nextOf(item({ next_run: "2026-11-22T11:45:00Z" }), NOW)).toBe("15 min late");
    expect(missedOf(item({ is_overdue: true, missed: 4 }))).toBe("4 runs missed");
    expect(missedOf(item({ is_overdue: true, missed: null }))).toBe("runs missed");
    expect(missedOf(item({}))).toBe("");
  });
});
