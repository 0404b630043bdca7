import type { View } from "../api/views.ts";
import { pageOf } from "./pages.ts";

const BASE = "https://tocsin.invalid/";

/** Where a view leads, below the base. One that names no page of ours leads to the live page. */
export function placeOfView({ query }: Pick<View, "query">): { path: string; search: string } {
  // What others share may be no address at all, and then throws.
  const url = URL.canParse(query, BASE) ? new URL(query, BASE) : null;
  const path = url?.pathname.slice(1) ?? "";
  const isOurs = url?.host === "tocsin.invalid" && pageOf(path) !== undefined;
  return isOurs ? { path, search: url.search } : { path: "logs", search: "" };
}

/** What is kept of the page that is shown: its address without what points at one moment. */
export function queryOfPlace({ path, search }: { path: string; search: string }): string {
  const params = new URLSearchParams(search);
  for (const key of ["at", "row", "cursor"]) params.delete(key);
  return `/${path === "" ? "logs" : path}${params.size === 0 ? "" : `?${params.toString()}`}`;
}
