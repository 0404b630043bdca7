import type { ErrorDetail, ErrorGroup, Sort } from "../../api/errors.ts";
import { count, counted } from "../../format/count.ts";
import { age, ago } from "../../format/time.ts";
import type { SpanName } from "../../parts/timeRange.ts";

/** How far back the pages of errors look: also further than a chart of a queue does. */
export const ERROR_SPANS: readonly SpanName[] = ["1h", "24h", "7d", "30d"];

export const SORT_WORDS: Readonly<Record<Sort, string>> = {
  last_seen: "Seen last",
  first_seen: "Newest kind",
  failures: "Most failures",
  final_failures: "Most failed for good",
};

/** What the failures are compared to as much time before: "new", "3 times as many", "half as many", "as before". */
export function changeOf({ failures, failures_before: before, is_new: isNew }: ErrorGroup): {
  text: string;
  tone: "error" | "warn" | "good" | "debug";
} {
  if (isNew) return { text: "new", tone: "error" };
  if (before === 0) return { text: "back again", tone: "warn" };
  const ratio = failures / before;
  if (ratio >= 1.5) return { text: `${times(ratio)} as many as before`, tone: "warn" };
  if (ratio <= 0.67) return { text: `fewer: ${count(before)} before`, tone: "good" };
  return { text: "about as before", tone: "debug" };
}

function times(ratio: number): string {
  const rounded = ratio < 10 ? Math.round(ratio * 10) / 10 : Math.round(ratio);
  return `${rounded} times`;
}

type Counts = Pick<ErrorGroup, "failures" | "final_failures">;

/** How many of the failures were the last attempt of their job: "all for good", "3 for good". */
export function finalsOf({ failures, final_failures: finals }: Counts): string {
  if (finals === 0) return "none for good";
  if (finals === failures) return failures === 1 ? "for good" : "all for good";
  return `${count(finals)} for good`;
}

/** "36 failures, all for good". */
export function failuresOf(counts: Counts): string {
  return `${counted(counts.failures, "failure")}, ${finalsOf(counts)}`;
}

/** Who dealt with it last, in a sentence. now: ms since 1970. */
export function handlingOf({ handling }: Pick<ErrorDetail, "handling">, now: number): string {
  if (!handling.is_known) return "Not known now: the bot, which knows, does not answer";
  const { last } = handling;
  if (last === null) return "Nobody has dealt with it yet";
  const note = last.note ? `: “${last.note}”` : "";
  return `${last.how} by ${last.by} ${ago(now - Date.parse(last.at))}${note}`;
}

/** The deploy that may have brought it; empty where none came before it within a day. */
export function broughtBy({
  marker_before: marker,
  first_seen: first,
}: Pick<ErrorDetail, "marker_before" | "first_seen">): string {
  if (marker === null) return "";
  const after = Date.parse(first) - Date.parse(marker.ts);
  if (after > 86_400_000) return "";
  const what = [marker.service, marker.version].filter(Boolean).join(" ") || "a marker";
  return `${age(after)} after ${what}${marker.by ? ` (${marker.by})` : ""}`;
}
