import type { QueueItem } from "../api/types.ts";
import { counted, percent } from "../format/count.ts";
import { age } from "../format/time.ts";

/** What is wrong with a queue, worst first; `score` orders queues, 0 is healthy. */
export interface Trouble {
  score: number;
  reasons: readonly { text: string; isBad: boolean }[];
}

/** A job that waits longer than this is a matter for a person. */
const OLD_WAIT_SECONDS = 300;
/** The bridge looks every 5 s and writes at least every 60 s: older counts are not the truth any more. */
const STALE_MS = 90_000;
/** Every fifth job fails, and of so many that it is no accident. */
const HIGH_RATE = 0.2;
const ENOUGH_ENDED = 10;

/** What ended in the last hour. */
export interface Lately {
  completed: number;
  failed: number;
}

/** Judge a queue by its own counts, and by its last hour where that is known. now: ms since 1970. */
export function troubleOf(item: QueueItem, now: number, lately?: Lately): Trouble {
  const waiting = item.waiting + item.prioritized;
  const ageMs = now - Date.parse(item.as_of);
  const oldest = item.oldest_waiting_seconds ?? 0;
  const found: { score: number; text: string; isBad: boolean }[] = [];
  if (ageMs > STALE_MS) found.push({ score: 500, text: `not seen for ${age(ageMs)}`, isBad: true });
  if (item.workers === 0 && waiting > 0) {
    found.push({ score: 400, text: `no workers, ${counted(waiting, "job")} waiting`, isBad: true });
  }
  if (oldest > OLD_WAIT_SECONDS && !item.is_paused) {
    found.push({ score: 300, text: `oldest waits ${age(oldest * 1000)}`, isBad: true });
  }
  if (item.failed > 0)
    found.push({ score: 200 + Math.log10(item.failed), text: `${counted(item.failed, "failed job")}`, isBad: true });
  const ended = (lately?.completed ?? 0) + (lately?.failed ?? 0);
  const rate = ended < ENOUGH_ENDED || lately === undefined ? 0 : lately.failed / ended;
  if (rate >= HIGH_RATE) found.push({ score: 250 * rate, text: `${percent(rate)} fail`, isBad: true });
  if (item.is_paused) found.push({ score: waiting > 0 ? 100 : 50, text: "paused", isBad: false });
  return {
    score: found.reduce((sum, each) => sum + each.score, 0),
    reasons: found.map(({ text, isBad }) => ({ text, isBad })),
  };
}

/** Worst first; the healthy ones by name. lately: by `source/queue`. */
export function byTrouble(
  items: readonly QueueItem[],
  now: number,
  lately?: ReadonlyMap<string, Lately>,
): { item: QueueItem; trouble: Trouble }[] {
  return items
    .map((item) => ({ item, trouble: troubleOf(item, now, lately?.get(`${item.source}/${item.queue}`)) }))
    .toSorted(
      (one, other) =>
        other.trouble.score - one.trouble.score ||
        one.item.queue.localeCompare(other.item.queue) ||
        one.item.source.localeCompare(other.item.source),
    );
}
