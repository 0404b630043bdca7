import { useQuery, type UseQueryResult } from "@tanstack/react-query";

import type { Dependence, RefreshMeta } from "../live/refreshes.ts";
import { isOpenRange, rangeParams, type Range } from "../parts/timeRange.ts";
import { apiUrl, getJson } from "./client.ts";
import { keptFor } from "./kept.ts";
import type { TimeMarker } from "./markers.ts";
import type { QueueItem } from "./types.ts";

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
}

/** One queue with all that is polled of it; null = not known, or there is nothing of the kind. */
export interface QueueDetail extends QueueItem {
  overdue: number | null;
  longest_active_id: string;
  longest_active_name: string;
  longest_active_seconds: number | null;
  is_longest_active_locked: boolean | null;
  is_rate_limited: boolean | null;
  rate_limit_jobs: number | null;
  rate_limit_ms: number | null;
  concurrency: number | null;
  max_len_events: number | null;
  bullmq_version: string;
  last_event_at: string | null;
  coverage: { history_since: string | null; events_lost: number | null };
}

/** Charts need no more; a busy queue tells of itself all the time. */
const CHART_MS = 5_000;
/** Of hundreds of queues at once. */
const ALL_MS = 15_000;

function whileOpen(range: Range, refreshedBy: readonly Dependence[], leastMs: number): RefreshMeta {
  return { refreshedBy: isOpenRange(range) ? refreshedBy : [], isHistory: true, leastMs };
}

export function useQueue(source: string, queue: string): UseQueryResult<QueueDetail> {
  return useQuery({
    queryKey: ["queue", source, queue],
    queryFn: ({ signal }) =>
      getJson<QueueDetail>(apiUrl(`queues/${encodeURIComponent(source)}/${encodeURIComponent(queue)}`), signal),
    meta: { refreshedBy: [{ type: "queue-refresh", source, queue }] },
  });
}

export function useDurations(source: string, queue: string, range: Range): UseQueryResult<Durations> {
  return useQuery({
    queryKey: ["durations", source, queue, range],
    queryFn: ({ signal }) =>
      getJson<Durations>(apiUrl("durations", { source, queue, ...rangeParams(range, Date.now()) }), signal),
    placeholderData: keptFor(["durations", source, queue]),
    meta: whileOpen(range, [{ type: "job-refresh", source, queue }], CHART_MS),
  });
}

export function useBacklog(source: string, queue: string, range: Range): UseQueryResult<Backlog> {
  return useQuery({
    queryKey: ["backlog", source, queue, range],
    queryFn: ({ signal }) =>
      getJson<Backlog>(apiUrl("backlog", { source, queue, ...rangeParams(range, Date.now()) }), signal),
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
      const told = await getJson<Durations>(apiUrl("durations", rangeParams(TREND, Date.now())), signal);
      return new Map(told.queues.map((each) => [`${each.source}/${each.queue}`, each]));
    },
    // Told less often than of every job, and as well.
    meta: whileOpen(TREND, [{ type: "queue-refresh" }], ALL_MS),
  });
}

/** Failures of one queue that are the same failure. */
export interface FailingGroup {
  fingerprint: string;
  error: string;
  error_type: string;
  job_name: string;
  failures: number;
  final_failures: number;
  first_seen: string;
  last_seen: string;
  is_new: boolean;
  trend: readonly number[];
}

const GROUPS = "8";

export function useFailingGroups(source: string, queue: string, range: Range): UseQueryResult<readonly FailingGroup[]> {
  return useQuery({
    queryKey: ["failing", source, queue, range],
    queryFn: async ({ signal }) => {
      const asked = { source, queue, sort: "failures", limit: GROUPS, ...rangeParams(range, Date.now()) };
      return (await getJson<{ items: FailingGroup[] }>(apiUrl("errors", asked), signal)).items;
    },
    placeholderData: keptFor(["failing", source, queue]),
    meta: whileOpen(range, [{ type: "job-refresh", source, queue }], CHART_MS),
  });
}

export interface QueueScheduler {
  scheduler: string;
  job_name: string;
  pattern: string;
  /** ms between runs, where it has no pattern. */
  every: number | null;
  timezone: string;
  next_run: string | null;
  last_run: string | null;
  last_outcome: string | null;
  is_overdue: boolean;
  overdue_seconds: number;
}

export function useQueueSchedulers(source: string, queue: string): UseQueryResult<readonly QueueScheduler[]> {
  return useQuery({
    queryKey: ["queue schedulers", source, queue],
    queryFn: async ({ signal }) =>
      (await getJson<{ items: QueueScheduler[] }>(apiUrl("schedulers", { source, queue }), signal)).items,
    meta: { refreshedBy: [{ type: "job-scheduler-refresh", source, queue }] },
  });
}
