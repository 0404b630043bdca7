import type { Zone } from "../format/time.ts";

const HOUR = 3_600_000;

/** How far back a page looks; the names stand in addresses. */
export const SPANS = { "1h": HOUR, "6h": 6 * HOUR, "24h": 24 * HOUR, "7d": 168 * HOUR, "30d": 720 * HOUR } as const;
export type SpanName = keyof typeof SPANS;

const WORDS: Readonly<Record<SpanName, string>> = {
  "1h": "the last hour",
  "6h": "the last 6 hours",
  "24h": "the last 24 hours",
  "7d": "the last 7 days",
  "30d": "the last 30 days",
};

/** A range of time: up to now, or between two moments, ms since 1970. */
export type Range = { span: SpanName } | { from: number; to: number };

const NAMES = Object.keys(SPANS) as SpanName[];

/** Read `range=6h`, or `from=…&to=…`, of an address; null where it says neither. */
export function rangeFromSearch(search: string): Range | null {
  const params = new URLSearchParams(search);
  const from = Date.parse(params.get("from") ?? "");
  const to = Date.parse(params.get("to") ?? "");
  if (from < to) return { from, to };
  const span = NAMES.find((name) => name === params.get("range"));
  return span === undefined ? null : { span };
}

/** The same address with another range; null: with none. */
export function searchWithRange(search: string, range: Range | null): string {
  const params = new URLSearchParams(search);
  for (const key of ["range", "from", "to"]) params.delete(key);
  if (range !== null && "span" in range) params.set("range", range.span);
  if (range !== null && "from" in range) {
    params.set("from", new Date(range.from).toISOString());
    params.set("to", new Date(range.to).toISOString());
  }
  return params.size === 0 ? "" : `?${params.toString().replaceAll("%3A", ":")}`;
}

/** Three times as long, with the same middle, but not past now. now: ms since 1970. */
export function wider({ from, to }: { from: number; to: number }, now: number): { from: number; to: number } {
  const length = to - from;
  const end = Math.max(to, Math.min(to + length, now));
  return { from: end - 3 * length, to: end };
}

/** The range as the API's parameters. now: ms since 1970. */
export function rangeParams(range: Range, now: number): { from: string; to?: string } {
  if ("span" in range) return { from: String(now - SPANS[range.span]) };
  return { from: String(Math.floor(range.from)), to: String(Math.ceil(range.to)) };
}

/** "the last 7 days", for a sentence about it. */
export function rangeWords(range: Range): string {
  return "span" in range ? WORDS[range.span] : "the time chosen";
}

/** Whether things that happen now are in it. */
export function isOpenRange(range: Range): boolean {
  return "span" in range;
}

/** A time as a field of type datetime-local has it, to the minute. time: ms since 1970. */
export function fieldOf(time: number, zone: Zone): string {
  const offset = zone === "utc" ? 0 : new Date(time).getTimezoneOffset() * 60_000;
  return new Date(time - offset).toISOString().slice(0, 16);
}

/** What such a field says, in ms since 1970; NaN while it is not whole. */
export function timeOfField(text: string, zone: Zone): number {
  return Date.parse(zone === "utc" ? `${text}Z` : text);
}
