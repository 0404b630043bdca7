import { counted } from "../format/count.ts";
import { ago } from "../format/time.ts";
import type { Range } from "./timeRange.ts";

/** What an answer says of itself. */
export interface ToldOf {
  /** Up to when it tells all that happened; null = not known, undefined: there is no answer yet. */
  asOf: string | null | undefined;
  /** Events of its time that nobody could read; null = not known. */
  lost?: number | null | undefined;
  /** The time it is about: of one that is past, it is of no matter how long ago it was told whole. */
  range?: Range;
  /** Say nothing of what is fresh and whole: where much is shown beside each other. */
  isQuiet?: boolean;
}

/** It is asked for anew by itself, once a minute at least (live/refresher.ts); older than that it is worth a word. */
const FRESH_MS = 90_000;

/** How old an answer is and what it lacks, in words; empty where there is nothing to say. now: ms since 1970. */
export function toldWords({ asOf, lost, range, isQuiet = false }: ToldOf, now: number): string {
  if (asOf === undefined) return "";
  const ageMs = asOf === null ? null : now - Date.parse(asOf);
  const isOld = ageMs === null || ageMs >= FRESH_MS;
  const isWhole = range !== undefined && "to" in range && asOf !== null && Date.parse(asOf) >= range.to;
  const told = [
    !isWhole && (isOld || !isQuiet) && (ageMs === null ? "how fresh this is, is not known" : `as of ${ago(ageMs)}`),
    lost && `${counted(lost, "event")} of this time ${lost === 1 ? "was" : "were"} lost`,
  ];
  return told.filter(Boolean).join(" · ");
}

/** The older of two; one that is not known is older than any. */
export function olderOf(one: string | null | undefined, other: string | null | undefined): string | null | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  if (one === null || other === null) return null;
  return Date.parse(one) < Date.parse(other) ? one : other;
}
