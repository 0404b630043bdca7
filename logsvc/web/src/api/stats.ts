import { useQuery, type UseQueryResult } from "@tanstack/react-query";

import type { Dependence, RefreshMeta } from "../live/refreshes.ts";
import { isOpenRange, rangeParams, type Range } from "../parts/timeRange.ts";
import { apiUrl, getJson } from "./client.ts";
import { serverNow } from "./clock.ts";
import { keptFor } from "./kept.ts";
import type { TimeMarker } from "./markers.ts";
import type { Coverage } from "./types.ts";

/** Milliseconds; null = of none. */
export interface Times {
  count: number;
  mean: number | null;
  p50: number | null;
  p90: number | null;
  p95: number | null;
  p99: number | null;
  max: number | null;
}

export interface Figures {
  added: number;
  completed: number;
  /** For good. */
  failed: number;
  /** Attempts that failed and were tried again. */
  retried: number;
  /** failed / (completed + failed); null = none ended. */
  failure_rate: number | null;
  per_minute: number;
  wait: Times;
  run: Times;
}

export interface QueueFigures extends Figures {
  env: string;
  source: string;
  queue: string;
  /** Jobs that ended in equal parts of the time, oldest first. */
  completed_trend: readonly number[];
  failed_trend: readonly number[];
}

export interface Durations {
  items: readonly (Figures & { ts: string })[];
  whole: Figures;
  queues: readonly QueueFigures[];
  bucket_seconds: number;
  markers: readonly TimeMarker[];
  as_of: string | null;
  coverage: Coverage;
}

export interface Backlog {
  /** null = nobody looked, or not at every queue. */
  items: readonly {
    ts: string;
    waiting: number | null;
    active: number | null;
    delayed: number | null;
    failed: number | null;
    oldest_waiting_seconds: number | null;
  }[];
  bucket_seconds: number;
  markers: readonly TimeMarker[];
  as_of: string | null;
  coverage: Coverage;
}

/** Charts need no more; a busy queue tells of itself all the time. */
const CHART_MS = 5_000;
/** Of hundreds of queues at once. */
const ALL_MS = 15_000;

function whileOpen(range: Range, refreshedBy: readonly Dependence[], leastMs: number): RefreshMeta {
  return { refreshedBy: isOpenRange(range) ? refreshedBy : [], isHistory: true, leastMs };
}

export function useDurations(source: string, queue: string, range: Range): UseQueryResult<Durations> {
  return useQuery({
    queryKey: ["durations", source, queue, range],
    queryFn: ({ signal }) =>
      getJson<Durations>(apiUrl("durations", { source, queue, ...rangeParams(range, serverNow()) }), signal),
    placeholderData: keptFor(["durations", source, queue]),
    meta: whileOpen(range, [{ type: "job-refresh", source, queue }], CHART_MS),
  });
}

export function useBacklog(source: string, queue: string, range: Range): UseQueryResult<Backlog> {
  return useQuery({
    queryKey: ["backlog", source, queue, range],
    queryFn: ({ signal }) =>
      getJson<Backlog>(apiUrl("backlog", { source, queue, ...rangeParams(range, serverNow()) }), signal),
    placeholderData: keptFor(["backlog", source, queue]),
    meta: whileOpen(range, [{ type: "queue-refresh", source, queue }], CHART_MS),
  });
}

const TREND: Range = { span: "1h" };

/** The last hour of every queue, by `source/queue`. */
export function useTrends(): UseQueryResult<ReadonlyMap<string, QueueFigures>> {
  return useQuery({
    queryKey: ["trends"],
    queryFn: async ({ signal }) => {
      const told = await getJson<Durations>(apiUrl("durations", rangeParams(TREND, serverNow())), signal);
      return new Map(told.queues.map((each) => [`${each.source}/${each.queue}`, each]));
    },
    // Told less often than of every job, and as well.
    meta: whileOpen(TREND, [{ type: "queue-refresh" }], ALL_MS),
  });
}
