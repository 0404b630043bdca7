import { useQuery, type UseQueryResult } from "@tanstack/react-query";

import { apiUrl, getJson } from "./client.ts";
import type { Page } from "./types.ts";

export interface SchedulerItem {
  env: string;
  source: string;
  queue: string;
  scheduler: string;
  job_name: string;
  pattern: string;
  /** ms between runs, where it has no pattern. */
  every: number | null;
  timezone: string;
  next_run: string | null;
  last_run: string | null;
  last_job_id: string | null;
  last_outcome: string | null;
  is_overdue: boolean;
  overdue_seconds: number;
  /** Runs whose time has passed and that were not begun; null = some. */
  missed: number | null;
  iteration: number | null;
  max_iterations: number | null;
  starts_at: string | null;
  ends_at: string | null;
  is_legacy: boolean;
  data: string;
  as_of: string;
}

const MOST = "1000";

export function useSchedulers(envs: readonly string[]): UseQueryResult<Page<SchedulerItem>> {
  return useQuery({
    queryKey: ["schedulers", envs],
    queryFn: ({ signal }) => getJson<Page<SchedulerItem>>(apiUrl("schedulers", { env: envs, limit: MOST }), signal),
    meta: { refreshedBy: [{ type: "job-scheduler-refresh" }], leastMs: 3_000 },
  });
}

/** Those that fill one queue. */
export function useQueueSchedulers(source: string, queue: string): UseQueryResult<Page<SchedulerItem>> {
  return useQuery({
    queryKey: ["queue schedulers", source, queue],
    queryFn: ({ signal }) => getJson<Page<SchedulerItem>>(apiUrl("schedulers", { source, queue }), signal),
    meta: { refreshedBy: [{ type: "job-scheduler-refresh", source, queue }] },
  });
}
