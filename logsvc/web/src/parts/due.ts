import type { SchedulerItem } from "../api/schedulers.ts";
import { counted } from "../format/count.ts";
import { age, duration } from "../format/time.ts";

/** Overdue ones first, the latest at the top; then by when they are due; those without a next run last. */
export function byDue(items: readonly SchedulerItem[]): SchedulerItem[] {
  return items.toSorted(
    (one, other) =>
      Number(other.is_overdue) - Number(one.is_overdue) ||
      other.overdue_seconds - one.overdue_seconds ||
      dueAt(one) - dueAt(other) ||
      one.scheduler.localeCompare(other.scheduler),
  );
}

function dueAt({ next_run: next }: SchedulerItem): number {
  return next === null ? Infinity : Date.parse(next);
}

/** When it runs: "every 5 min", "0 3 * * * Europe/Berlin". */
export function rhythmOf({ pattern, every, timezone }: SchedulerItem): string {
  if (pattern !== "") return [pattern, timezone].filter(Boolean).join(" ");
  return every === null ? "–" : `every ${duration(every)}`;
}

/** "in 20 min", "15 min late"; empty where there is no next run. now: ms since 1970. */
export function nextOf({ next_run: next }: SchedulerItem, now: number): string {
  if (next === null) return "no next run";
  const ms = Date.parse(next) - now;
  if (ms >= 0) return ms < 1_500 ? "now" : `in ${age(ms)}`;
  return ms > -5_000 ? "now" : `${age(-ms)} late`;
}

/** "4 runs missed"; empty where none is. A pattern does not say how many. */
export function missedOf({ is_overdue: isOverdue, missed }: SchedulerItem): string {
  if (!isOverdue) return "";
  return missed === null ? "runs missed" : `${counted(missed, "run")} missed`;
}
