import { useQuery, type UseQueryResult } from "@tanstack/react-query";

import { ApiError, apiUrl, getJson, retryMs } from "./client.ts";
import type { TimeMarker } from "./markers.ts";
import type { Coverage, Page, Row } from "./types.ts";

/** A job, by its names. */
export interface JobName {
  source: string;
  queue: string;
  job_id: string;
}

/** One item of GET /api/v1/jobs: a job as its newest event tells. */
export interface JobItem extends JobName {
  env: string;
  job_name: string;
  added_at: string | null;
  ts: string;
  event: string;
  state: string;
  attempt: number;
  max_attempts: number;
  error: string;
  error_type: string;
  fingerprint: string;
  worker: string;
  wait_ms: number | null;
  run_ms: number | null;
  enriched: boolean;
}

/** One try. started, ended: null = not seen. */
export interface Attempt {
  n: number;
  started: string | null;
  ended: string | null;
  outcome: "running" | "completed" | "failed" | "stalled";
  error: string;
  error_type: string;
  /** Newest call first. */
  stack: readonly string[];
  worker: string;
  run_ms: number | null;
}

/** One life of a job id: numeric ids begin anew after a queue was obliterated. */
export interface Run {
  added_at: string | null;
  first_ts: string;
  last_ts: string;
  state: string;
}

export interface Child extends JobName {
  job_name: string;
  state: string;
  ts: string;
}

/** One run of a job, with everything that is known of it. */
export interface Job extends JobItem {
  data: string;
  result: string;
  progress: string;
  /** Redis key of the job that waits for this one; parent_job: the same by its names. */
  parent: string;
  parent_job: JobName | null;
  children: readonly Child[];
  markers: readonly TimeMarker[];
  scheduler: string;
  runs: readonly Run[];
  attempts: readonly Attempt[];
  /** Events and log lines, oldest first. */
  timeline: readonly Row[];
  logs: readonly Row[];
  /** The run has more rows than these, which are its events and the newest lines. */
  is_cut: boolean;
  as_of: string | null;
  coverage: Coverage;
}

/** How often to look again for a job that is not there. */
const MISSING_MS = 5_000;

/** Whether there is no such job. */
export function isMissing(error: unknown): boolean {
  return error instanceof ApiError && error.status === 404;
}

/** One job; addedAt picks a run, "" is the newest. `isWanted`: false asks nothing. */
export function useJob({ source, queue, job_id }: JobName, addedAt = "", isWanted = true): UseQueryResult<Job> {
  const path = ["jobs", source, queue, job_id].map((name) => encodeURIComponent(name)).join("/");
  return useQuery({
    queryKey: ["job", source, queue, job_id, addedAt],
    queryFn: ({ signal }) => getJson<Job>(apiUrl(path, { added_at: addedAt }), signal),
    enabled: isWanted,
    retry: (failures, error) => failures < 1 && !isMissing(error),
    // Who follows a link at once may be faster than history.
    refetchInterval: ({ state }) => (isMissing(state.error) ? MISSING_MS : retryMs(state.error)),
    meta: {
      refreshedBy: [
        { type: "job-refresh", source, queue, jobId: job_id },
        { type: "log-refresh", source, queue, jobId: job_id },
      ],
      isHistory: true,
    },
  });
}

/** The newest jobs of a queue in some state, newest first. */
export function useNewestJobs(
  source: string,
  queue: string,
  state: string,
  limit: number,
): UseQueryResult<Page<JobItem>> {
  return useQuery({
    queryKey: ["jobs", source, queue, state, limit],
    queryFn: ({ signal }) =>
      getJson<Page<JobItem>>(apiUrl("jobs", { source, queue, state, limit: String(limit) }), signal),
    meta: { refreshedBy: [{ type: "job-refresh", source, queue }], isHistory: true, leastMs: 3_000 },
  });
}
