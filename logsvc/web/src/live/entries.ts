import type { Row } from "../api/types.ts";

/** A place in the tail where lines are missing, and what is known about it. */
export interface Marker {
  kind: "marker";
  id: string;
  /**
   * skipped: the server had more than this viewer could take. gap: the connection was away too long to resume.
   * unheld: this page was paused for so long that it had no room left. seam: history and live do not meet yet.
   * cut: more lines than this page loads at once lie here.
   */
  reason: "skipped" | "gap" | "unheld" | "seam" | "cut";
  /** How many lines; null when nobody knows. */
  count: number | null;
  /** Lines may be missing up to this time by the server's clock, in ms, even past the next line; 0 = up to that. */
  until: number;
  /** What became of "Load them". */
  fill: "idle" | "loading" | "failed" | "partly";
}

/** What the tail shows in one place: a line, or a marker that lines are missing. */
export type Entry = Row | Marker;

export function isMarker(entry: Entry): entry is Marker {
  return entry.kind === "marker";
}

const FIXED_WEIGHT = 400;

/** Roughly the memory of an entry, in characters. */
export function weightOf(entry: Entry): number {
  if (isMarker(entry)) return FIXED_WEIGHT;
  const stack = entry.stack?.reduce((sum, text) => sum + text.length, 0) ?? 0;
  const texts = [entry.message, entry.error, entry.data, entry.result, entry.progress];
  return texts.reduce((sum, text) => sum + (text?.length ?? 0), FIXED_WEIGHT + stack);
}

/** Milliseconds since 1970 of a row. */
export function timeOf(row: Row): number {
  return Date.parse(row.ts);
}
