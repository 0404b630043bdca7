import { useMemo } from "react";

import { useQueueNames } from "../api/queues.ts";
import { navigate, usePlace } from "./router.ts";

/** The environments that the address asks for; empty: all of them. */
export function envsOf(search: string): readonly string[] {
  return [...new Set(new URLSearchParams(search).getAll("env").filter((env) => env !== ""))];
}

/** The same address with other environments. What depends on the old ones goes: a page of results, a linked line. */
export function searchWithEnvs(search: string, envs: readonly string[]): string {
  const params = new URLSearchParams(search);
  for (const key of ["env", "cursor", "at", "row"]) params.delete(key);
  for (const env of envs) params.append("env", env);
  return params.size === 0 ? "" : `?${params.toString()}`;
}

/** An address with these environments, unless it names some itself: the choice holds from page to page. */
export function keepEnvs(search: string, envs: readonly string[]): string {
  if (envs.length === 0 || envsOf(search).length > 0) return search;
  const params = new URLSearchParams(search);
  for (const env of envs) params.append("env", env);
  return `?${params.toString()}`;
}

/** Go to a page with the environments chosen now. */
export function goTo(path: string, search = ""): void {
  navigate(path, keepEnvs(search, envsOf(location.search)));
}

/** The environments asked for by the address of the page. */
export function useEnvs(): readonly string[] {
  const { search } = usePlace();
  return useMemo(() => envsOf(search), [search]);
}

/** Every environment that has a queue, and those the address names. */
export function useKnownEnvs(): readonly string[] {
  const { data } = useQueueNames();
  const chosen = useEnvs();
  return useMemo(() => {
    const known = (data?.items ?? []).map((item) => item.env ?? "").filter((env) => env !== "");
    return [...new Set([...known, ...chosen])].toSorted((one, other) => one.localeCompare(other));
  }, [data, chosen]);
}

/** Whether what is shown may be of several environments. */
export function useAreEnvsMixed(): boolean {
  const known = useKnownEnvs();
  const chosen = useEnvs();
  return chosen.length === 0 ? known.length > 1 : chosen.length > 1;
}

/** " in staging", for what is said of the chosen environments alone; empty where all are meant. */
export function inEnvs(envs: readonly string[]): string {
  return envs.length === 0 ? "" : ` in ${envs.join(", ")}`;
}

/** Show other environments on the page where we are. */
export function chooseEnvs(path: string, search: string, envs: readonly string[]): void {
  navigate(path, searchWithEnvs(search, envs));
}

/** How loudly an environment's badge speaks: people must see where they are about to act. */
export function toneOf(env: string): "prod" | "near" | "other" {
  if (/^(prod|production|live)/i.test(env)) return "prod";
  return /^(stag|pre|uat|qa)/i.test(env) ? "near" : "other";
}
