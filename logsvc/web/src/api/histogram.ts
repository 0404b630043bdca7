import { useQuery, type UseQueryResult } from "@tanstack/react-query";

import type { Filter } from "../live/filter.ts";
import { filterParams } from "../live/filter.ts";
import type { Dependence } from "../live/refreshes.ts";
import { isOpenRange, rangeParams, type Range } from "../parts/timeRange.ts";
import { ApiError, apiUrl, getJson } from "./client.ts";
import { serverNow } from "./clock.ts";
import { keptFor } from "./kept.ts";
import type { TimeMarker } from "./markers.ts";

/** Rows in buckets of time, by level. lost: events that nobody read. */
export interface Histogram {
  items: readonly { ts: string; total: number; counts: Readonly<Record<string, number>>; lost: number }[];
  bucket_seconds: number;
  total: number;
  markers: readonly TimeMarker[];
  as_of: string | null;
}

/** Counting a text or a job looks at every row; a chart of an hour needs no more. */
const LEAST_MS = 5_000;

export function useHistogram(filter: Filter, range: Range): UseQueryResult<Histogram> {
  return useQuery({
    queryKey: ["histogram", filter, range],
    queryFn: ({ signal }) =>
      getJson<Histogram>(apiUrl("histogram", { ...filterParams(filter), ...rangeParams(range, serverNow()) }), signal),
    placeholderData: keptFor(["histogram", filter]),
    retry: (failures, error) => failures < 1 && !(error instanceof ApiError && error.isRefusal),
    meta: {
      refreshedBy: isOpenRange(range) ? queuesOf(filter) : [],
      isHistory: true,
      leastMs: LEAST_MS,
    },
  });
}

/** Where jobs move the counts of a queue change: told once a second at most, and not for every job. */
function queuesOf({ queue }: Filter): readonly Dependence[] {
  if (queue.length === 0) return [{ type: "queue-refresh" }];
  return queue.map((name) => ({ type: "queue-refresh", queue: name }));
}
