import { useQuery } from "@tanstack/react-query";

import { ago } from "../format/time.ts";
import { apiUrl, getJson } from "./client.ts";
import { useMe } from "./me.ts";

/** Who paused a queue last, by Tocsin. */
export interface Pause {
  source: string;
  queue: string;
  by: string;
  at: string;
  /** In their words; empty where they gave none. */
  reason: string;
}

/** The pauses that people made by Tocsin; undefined while they are not known. areAny: whether a queue is paused. */
export function usePauses(areAny: boolean): readonly Pause[] | undefined {
  const { data: me } = useMe();
  const { data } = useQuery({
    queryKey: ["pauses"],
    queryFn: async ({ signal }) => (await getJson<{ items: Pause[] }>(apiUrl("pauses"), signal)).items,
    enabled: areAny && me?.has_bot === true,
    staleTime: 5_000,
    meta: { refreshedBy: [{ type: "audit-refresh" }] },
    retry: false,
  });
  return data;
}

interface Named {
  source: string;
  queue: string;
}

/** Say of a paused queue by whom and why, as far as it is known. */
export function pauseWords(pauses: readonly Pause[] | undefined, { source, queue }: Named, now: number): string {
  if (pauses === undefined) return "paused";
  const pause = pauses.find((one) => one.source === source && one.queue === queue);
  if (pause === undefined) return "paused, not by Tocsin";
  const why = pause.reason === "" ? "no reason given" : pause.reason;
  // It may have been resumed and paused by other means since: Tocsin does not see who did that.
  return `paused; last pause through Tocsin: ${pause.by}, ${ago(now - Date.parse(pause.at))}: ${why}`;
}
