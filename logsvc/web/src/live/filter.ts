import type { Params } from "../api/client.ts";
import { KINDS, LEVELS, type Row } from "../api/types.ts";
import { hasAll, isStricter, termsOf } from "./search.ts";

/** The keys that hold a set of values; several values of one key mean "any of". */
export const SET_KEYS = ["queue", "level", "kind", "source", "service", "env", "state", "job_id"] as const;
export type SetKey = (typeof SET_KEYS)[number];

/** What the viewer wants to see. An empty set asks nothing. `q` is looked for without regard to case. */
export type Filter = Readonly<Record<SetKey, readonly string[]>> & { readonly q: string };

export const NO_FILTER: Filter = {
  queue: [],
  level: [],
  kind: [],
  source: [],
  service: [],
  env: [],
  state: [],
  job_id: [],
  q: "",
};

const CLOSED_SETS: Partial<Record<SetKey, readonly string[]>> = { level: LEVELS, kind: KINDS };

/**
 * Read the filter from the page's own query string. A name is one parameter, whatever it holds; the values of a closed
 * set may be joined by commas, and those it does not have are ignored.
 */
export function filterFromSearch(search: string): Filter {
  const params = new URLSearchParams(search);
  const sets = SET_KEYS.map((key) => {
    const allowed = CLOSED_SETS[key];
    const values = params
      .getAll(key)
      .flatMap((text) => (allowed === undefined ? [text] : text.split(",")))
      .filter((value) => value !== "" && (allowed === undefined || allowed.includes(value)));
    return [key, [...new Set(values)]] as const;
  });
  return { ...NO_FILTER, ...Object.fromEntries(sets), q: params.get("q") ?? "" };
}

/** The keys that ask for something, as the server takes them: each value by itself, whatever it holds. */
export function filterParams(filter: Filter): Params {
  const params: Record<string, string | readonly string[]> = {};
  for (const key of SET_KEYS) {
    if (filter[key].length > 0) params[key] = filter[key];
  }
  if (filter.q !== "") params["q"] = filter.q;
  return params;
}

/** The page's own query string of a filter: a parameter for each value; empty when nothing is asked. */
export function filterToSearch(filter: Filter): string {
  const params = new URLSearchParams(SET_KEYS.flatMap((key) => filter[key].map((value) => [key, value])));
  if (filter.q !== "") params.set("q", filter.q);
  return params.size === 0 ? "" : `?${params.toString()}`;
}

export function isSameFilter(one: Filter, other: Filter): boolean {
  return filterToSearch(one) === filterToSearch(other);
}

export function isEmptyFilter(filter: Filter): boolean {
  return isSameFilter(filter, NO_FILTER);
}

/** Put a value into one of the filter's sets, or take it out if it is there. */
export function toggled(filter: Filter, key: SetKey, value: string): Filter {
  const values = filter[key];
  return { ...filter, [key]: values.includes(value) ? values.filter((other) => other !== value) : [...values, value] };
}

/**
 * Whether a row is what the filter asks for.
 *
 * The server filters; this holds back the rows that were already under way when the filter changed.
 */
export function matches(filter: Filter, row: Row): boolean {
  for (const key of SET_KEYS) {
    const wanted = filter[key];
    if (wanted.length > 0 && !wanted.includes(row[key] ?? defaultOf(key, row))) return false;
  }
  if (filter.q === "") return true;
  const texts = [row.job_id, row.job_name, row.message, row.error_type, row.error, row.data];
  return hasAll(termsOf(filter.q), texts.map((text) => text ?? "").join("\n"));
}

/** What a field means that was left out of a row. */
function defaultOf(key: SetKey, row: Row): string {
  return key === "state" && row.kind === "event" ? "unknown" : "";
}

/** Whether everything that `next` asks for was also asked for by `previous`. */
export function isNarrower(next: Filter, previous: Filter): boolean {
  const isWithin = (key: SetKey): boolean =>
    previous[key].length === 0 || (next[key].length > 0 && next[key].every((value) => previous[key].includes(value)));
  return SET_KEYS.every((key) => isWithin(key)) && isStricter(termsOf(next.q), termsOf(previous.q));
}
