import type { Params } from "../api/client.ts";
import type { Row } from "../api/types.ts";
import { filterFromSearch, filterParams, filterToSearch, NO_FILTER, type Filter } from "./filter.ts";
import { AFTER_LINK_MS, type LinkedLine, type Past } from "./tailView.ts";
import { rangeFromSearch, rangeParams, searchWithRange, type Range } from "../parts/timeRange.ts";

/** The line that `?at=<time>&row=<id>` points at. */
export function linkedFromSearch(search: string): LinkedLine | null {
  const params = new URLSearchParams(search);
  const id = params.get("row");
  const ts = params.get("at");
  if (!id || !ts || Number.isNaN(Date.parse(ts))) return null;
  return { id, ts };
}

/** The query string that shows a line among those that the filter lets through. */
export function searchOfLine(filter: Filter, line: LinkedLine): string {
  const search = filterToSearch(filter);
  const at = new URLSearchParams({ at: line.ts, row: line.id }).toString().replaceAll("%3A", ":");
  return search === "" ? `?${at}` : `${search}&${at}`;
}

/** All that its queue told at the time: after a gap, what there still is. */
export function surroundingsOf({ source, queue }: Pick<Row, "source" | "queue">): Filter {
  return { ...NO_FILTER, source: source ? [source] : [], queue: queue ? [queue] : [] };
}

/** The stretch of the past that an address shows; null: what happens now. */
export function pastFromSearch(search: string): Past | null {
  const range = rangeFromSearch(search);
  return range !== null && "from" in range ? range : null;
}

/** The same view live again: without its link, and without a stretch of the past. */
export function searchLive(search: string): string {
  const range = rangeFromSearch(search);
  return searchWithRange(filterToSearch(filterFromSearch(search)), range !== null && "span" in range ? range : null);
}

/** What an export is asked for: the time chosen; of a linked line as much time, up to what is shown after it. */
export function exportParams(filter: Filter, range: Range, linked: LinkedLine | null, now: number): Params {
  if (linked === null || !("span" in range)) return { ...filterParams(filter), ...rangeParams(range, now) };
  const end = Date.parse(linked.ts) + AFTER_LINK_MS;
  return { ...filterParams(filter), ...rangeParams(range, end), to: String(end) };
}
