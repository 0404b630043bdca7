import type { Row } from "../../api/types.ts";
import { filterFromSearch, filterToSearch, NO_FILTER, type Filter } from "../../live/filter.ts";
import type { LinkedLine, Past } from "../../live/tailView.ts";
import { rangeFromSearch, searchWithRange } from "../../parts/timeRange.ts";

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
