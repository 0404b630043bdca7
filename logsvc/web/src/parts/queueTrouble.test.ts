import { describe, expect, it } from "vitest";

import type { QueueItem } from "../api/types.ts";
import { byTrouble, troubleOf } from "./queueTrouble.ts";

const NOW = Date.parse("2026-11-22T12:00:00Z");
const healthy: QueueItem = {
  source: "main",
  queue: "mail",
  waiting: 3,
  active: 1,
  delayed: 0,
  prioritized: 0,
  waiting_children: 0,
  completed: 10,
  failed: 0,
  is_paused: false,
  workers: 2,
  oldest_waiting_seconds: 4,
  as_of: "2026-11-22T11:59:58Z",
};

function reasons(change: Partial<QueueItem>): string[] {
  return troubleOf({ ...healthy, ...change }, NOW).reasons.map((reason) => reason.text);
}

describe("troubleOf", () => {
  it("finds nothing wrong with a healthy queue", () => {
    expect(troubleOf(healthy, NOW)).toEqual({ score: 0, reasons: [] });
  });

  it("names each trouble", () => {
    expect(reasons({ failed: 1_412 })).toEqual(["1,412 failed jobs"]);
    expect(reasons({ workers: 0, prioritized: 2 })).toEqual(["no workers, 5 jobs waiting"]);
    expect(reasons({ oldest_waiting_seconds: 720 })).toEqual(["oldest waits 12 min"]);
    expect(reasons({ as_of: "2026-11-22T11:50:00Z" })).toEqual(["not seen for 10 min"]);
  });

  it("notices when too many fail, and waits until it is no accident", () => {
    expect(troubleOf(healthy, NOW, { completed: 30, failed: 10 }).reasons).toEqual([
      { text: "25 % fail", isBad: true },
    ]);
    expect(troubleOf(healthy, NOW, { completed: 3, failed: 2 }).reasons).toEqual([]);
    expect(troubleOf(healthy, NOW, { completed: 90, failed: 10 }).reasons).toEqual([]);
  });

  it("takes unknown workers for unknown, not for none", () => {
    expect(reasons({ workers: null })).toEqual([]);
  });

  it("does not blame a paused queue for waiting", () => {
    expect(reasons({ is_paused: true, oldest_waiting_seconds: 9_000 })).toEqual(["paused"]);
  });
});

describe("byTrouble", () => {
  it("puts the worst first and the healthy by name", () => {
    const items = [
      { ...healthy, queue: "b" },
      { ...healthy, queue: "paused", is_paused: true },
      { ...healthy, queue: "failing", failed: 3 },
      { ...healthy, queue: "a" },
      { ...healthy, queue: "dead", workers: 0 },
    ];
    expect(byTrouble(items, NOW).map(({ item }) => item.queue)).toEqual(["dead", "failing", "paused", "a", "b"]);
  });
});
