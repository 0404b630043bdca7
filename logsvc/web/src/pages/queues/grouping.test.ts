import { describe, expect, it } from "vitest";

import type { QueueItem } from "../../api/types.ts";
import { groupsOf, inOrderOf, type Grouping, type Ranked } from "./grouping.ts";

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

  it("keeps a group's key when another queue is its worst", () => {
    const before = groupsOf([ranked("a.x", 2), ranked("a.y", 1), ranked("b")], "name");
    const after = groupsOf([ranked("b", 3), ranked("a.y", 2), ranked("a.x", 1)], "name");
    expect(after.map(({ key }) => key)).toEqual(before.map(({ key }) => key).toReversed());
  });

  it("tells sources apart", () => {
    expect(told([ranked("a"), ranked("a", 0, "eu"), ranked("b")], "source")).toEqual(["main: a b", "eu: a"]);
  });
});

describe("inOrderOf", () => {
  it("leaves rows where they were, with what they are now, and puts new ones last", () => {
    const now = [ranked("new", 9), ranked("b", 5), ranked("a", 1)];
    const steady = inOrderOf([ranked("a"), ranked("gone"), ranked("b")], now);
    expect(steady.map(({ item }) => `${item.queue} ${item.failed}`)).toEqual(["a 1", "b 5", "new 9"]);
  });
});
