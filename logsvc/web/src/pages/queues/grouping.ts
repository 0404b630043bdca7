import type { QueueItem } from "../../api/types.ts";
import type { Trouble } from "../../parts/queueTrouble.ts";

export interface Ranked {
  item: QueueItem;
  trouble: Trouble;
}

export const GROUPINGS = ["none", "name", "source"] as const;
export type Grouping = (typeof GROUPINGS)[number];

/** Queues under one name, with their counts added up. */
export interface QueueGroup {
  /** Whatever is in it, and where: a group moves, and is not made anew. */
  key: string;
  name: string;
  ranked: readonly Ranked[];
  failed: number;
  waiting: number;
  active: number;
  /** How many have something bad. */
  troubled: number;
}

/** What people put between the parts of a queue's name; BullMQ allows no colon. */
const DELIMITERS = /[./_-]/u;

/**
 * Put queues into groups, each where its worst queue would be. By name: by the part before the first delimiter, if
 * another queue of the list has it too; the others come without a group (name ""), in their place.
 */
export function groupsOf(ranked: readonly Ranked[], by: Grouping): QueueGroup[] {
  const keyOf = keysFor(ranked, by);
  const groups = new Map<string, { name: string; ranked: Ranked[] }>();
  for (const each of ranked) {
    const name = keyOf(each.item);
    // A queue without a group is one by itself, so that it keeps its place.
    const key = name === "" ? `queue ${keyOfQueue(each.item)}` : `group ${name}`;
    const group = groups.get(key) ?? { name, ranked: [] };
    group.ranked.push(each);
    groups.set(key, group);
  }
  return [...groups].map(([key, { name, ranked: mine }]) => ({
    key,
    name,
    ranked: mine,
    failed: sum(mine, ({ item }) => item.failed),
    waiting: sum(mine, ({ item }) => item.waiting + item.prioritized),
    active: sum(mine, ({ item }) => item.active),
    troubled: mine.filter(({ trouble }) => trouble.reasons.some(({ isBad }) => isBad)).length,
  }));
}

export function keyOfQueue({ source, queue }: Pick<QueueItem, "source" | "queue">): string {
  return `${source}/${queue}`;
}

/** Put into the order of `before`; what was not there comes last. */
export function inOrderOf(before: readonly Ranked[], ranked: readonly Ranked[]): Ranked[] {
  const places = new Map(before.map(({ item }, place) => [keyOfQueue(item), place]));
  const placeOf = ({ item }: Ranked): number => places.get(keyOfQueue(item)) ?? before.length;
  return ranked.toSorted((one, other) => placeOf(one) - placeOf(other));
}

function keysFor(ranked: readonly Ranked[], by: Grouping): (item: QueueItem) => string {
  if (by === "none") return () => "";
  if (by === "source") return (item) => [item.source, item.env].filter(Boolean).join(" · ");
  const counts = new Map<string, number>();
  for (const { item } of ranked) counts.set(prefixOf(item), (counts.get(prefixOf(item)) ?? 0) + 1);
  return (item) => ((counts.get(prefixOf(item)) ?? 0) > 1 ? prefixOf(item) : "");
}

function prefixOf({ queue }: QueueItem): string {
  const [first = ""] = queue.split(DELIMITERS);
  return first === "" ? queue : first;
}

function sum(ranked: readonly Ranked[], of: (each: Ranked) => number): number {
  return ranked.reduce((total, each) => total + of(each), 0);
}
