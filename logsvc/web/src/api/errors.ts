import {
  useInfiniteQuery,
  useQuery,
  type InfiniteData,
  type UseInfiniteQueryResult,
  type UseQueryResult,
} from "@tanstack/react-query";

import type { RefreshMeta } from "../live/refreshes.ts";
import { isOpenRange, rangeParams, type Range } from "../parts/timeRange.ts";
import { ApiError, apiUrl, getJson } from "./client.ts";
import { serverNow } from "./clock.ts";
import { keptFor } from "./kept.ts";
import type { TimeMarker } from "./markers.ts";
import type { Coverage, Page, Row } from "./types.ts";

export const SORTS = ["last_seen", "first_seen", "failures", "final_failures"] as const;
export type Sort = (typeof SORTS)[number];

/** Failures of one fingerprint in the time asked for. */
export interface ErrorGroup {
  fingerprint: string;
  error: string;
  error_type: string;
  job_name: string;
  sample_job: { source: string; queue: string; job_id: string };
  failures: number;
  /** Those after which nothing was tried. */
  final_failures: number;
  /** In as much time right before. */
  failures_before: number;
  first_seen: string;
  last_seen: string;
  /** First seen within the time asked for. */
  is_new: boolean;
  /** Failures in equal parts of the time, oldest first. */
  trend: readonly number[];
  /** Twenty at most, of queue_count. */
  queues: readonly { env: string; source: string; queue: string }[];
  queue_count: number;
}

export interface ErrorPlace {
  env: string;
  source: string;
  queue: string;
  failures: number;
  final_failures: number;
  last_seen: string;
}

export interface ErrorDetail extends ErrorGroup {
  places: readonly ErrorPlace[];
  bucket_seconds: number;
  over_time: readonly { ts: string; failures: number }[];
  newest: readonly Row[];
  markers: readonly TimeMarker[];
  /** The last deploy before it was first seen. */
  marker_before: TimeMarker | null;
  /** is_known: false = who knows cannot be asked now. */
  handling: { is_known: boolean; last: { by: string; how: string; at: string; note: string } | null };
  as_of: string | null;
  coverage: Coverage;
}

export interface ErrorsQuery {
  envs: readonly string[];
  q: string;
  sort: Sort;
  range: Range;
}

const PAGE = 50;
/** A failing queue tells of itself many times a second; groups are counted over all of history. */
const LEAST_MS = 5_000;

function refreshed(range: Range): RefreshMeta {
  return { refreshedBy: isOpenRange(range) ? [{ type: "job-refresh" }] : [], isHistory: true, leastMs: LEAST_MS };
}

export function useErrors(asked: ErrorsQuery): UseInfiniteQueryResult<InfiniteData<Page<ErrorGroup>>> {
  return useInfiniteQuery({
    queryKey: ["errors", asked],
    queryFn: ({ signal, pageParam }) =>
      getJson<Page<ErrorGroup>>(
        apiUrl("errors", {
          env: asked.envs,
          q: asked.q,
          sort: asked.sort,
          ...rangeParams(asked.range, serverNow()),
          limit: String(PAGE),
          cursor: pageParam,
        }),
        signal,
      ),
    initialPageParam: "",
    getNextPageParam: (page) => page.next_cursor,
    retry: (failures, error) => failures < 1 && !(error instanceof ApiError && error.isRefusal),
    meta: refreshed(asked.range),
  });
}

export function useError(fingerprint: string, range: Range): UseQueryResult<ErrorDetail> {
  return useQuery({
    queryKey: ["error", fingerprint, range],
    queryFn: ({ signal }) =>
      getJson<ErrorDetail>(
        apiUrl(`errors/${encodeURIComponent(fingerprint)}`, rangeParams(range, serverNow())),
        signal,
      ),
    retry: (failures, error) => failures < 1 && !(error instanceof ApiError && error.status === 404),
    meta: refreshed(range),
  });
}

const GROUPS_OF_A_QUEUE = "8";

/** What fails in one queue, the most frequent first. */
export function useFailingGroups(source: string, queue: string, range: Range): UseQueryResult<Page<ErrorGroup>> {
  return useQuery({
    queryKey: ["failing", source, queue, range],
    queryFn: ({ signal }) => {
      const asked = { source, queue, sort: "failures", limit: GROUPS_OF_A_QUEUE, ...rangeParams(range, serverNow()) };
      return getJson<Page<ErrorGroup>>(apiUrl("errors", asked), signal);
    },
    placeholderData: keptFor(["failing", source, queue]),
    meta: { ...refreshed(range), refreshedBy: isOpenRange(range) ? [{ type: "job-refresh", source, queue }] : [] },
  });
}
