import { describe, expect, it } from "vitest";

import type { QueueItem } from "../../api/types.ts";
import { groupsOf, type Grouping, type Ranked } from "./grouping.ts";

function ranked(queue: string, failed = 0, source = "main"): Ranked {
  const item: QueueItem = {
    source,
    queue,
    waiting: 1,
    active: 0,
    delayed: 0,
    prioritized: 2,
    waiting_children: 0,
    completed: 0,
    failed,
    is_paused: false,
    workers: null,
    oldest_waiting_seconds: null,
    as_of: "2026-11-22T12:00:00Z",
  };
  return { item, trouble: { score: failed, reasons: failed > 0 ? [{ text: "failed", isBad: true }] : [] } };
}

function told(list: readonly Ranked[], by: Grouping): string[] {
  return groupsOf(list, by).map(({ name, ranked: mine }) => `${name}: ${mine.map(({ item }) => item.queue).join(" ")}`);
}

const LIST = [ranked("billing.invoices", 4), ranked("mails", 2), ranked("billing-refunds"), ranked("feeds")];

describe("groupsOf", () => {
  it("puts names of one beginning together, where the worst of them is", () => {
    expect(told(LIST, "name")).toEqual(["billing: billing.invoices billing-refunds", ": mails", ": feeds"]);
    expect(told(LIST, "none")).toHaveLength(4);
  });

  it("adds their counts up", () => {
    expect(groupsOf(LIST, "name")[0]).toMatchObject({ failed: 4, waiting: 6, troubled: 1 });
  });

  it("tells sources apart", () => {
    expect(told([ranked("a"), ranked("a", 0, "eu"), ranked("b")], "source")).toEqual(["main: a b", "eu: a"]);
  });
});
