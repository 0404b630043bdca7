import { filterFromSearch, filterToSearch, type Filter } from "../../live/filter.ts";
import type { LinkedLine } from "../../live/tail.ts";

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

/** The same view without its link: live again. */
export function searchWithoutLine(search: string): string {
  return filterToSearch(filterFromSearch(search));
}
