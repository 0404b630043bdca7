/** How far back a page looks; the names stand in addresses. */
export const SPANS = { "1h": 3_600_000, "6h": 21_600_000, "24h": 86_400_000, "7d": 604_800_000 } as const;
export type SpanName = keyof typeof SPANS;

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

/** The range as the API's parameters. now: ms since 1970. */
export function rangeParams(range: Range, now: number): { from: string; to?: string } {
  if ("span" in range) return { from: String(now - SPANS[range.span]) };
  return { from: String(Math.floor(range.from)), to: String(Math.ceil(range.to)) };
}

/** Whether things that happen now are in it. */
export function isOpenRange(range: Range): boolean {
  return "span" in range;
}
