import { useQuery, type UseQueryResult } from "@tanstack/react-query";

import { apiUrl, getJson } from "./client.ts";
import type { Coverage, Page, QueueItem } from "./types.ts";

const MOST_PAGES = 20;

/** Every watched queue with its counts, told anew as they change; the last answer stays while a new one fails. */
export function useQueues(): UseQueryResult<Page<QueueItem>> {
  return useQuery({
    queryKey: ["queues"],
    queryFn: ({ signal }) => fetchQueues(signal),
    meta: { refreshedBy: [{ type: "queue-refresh" }] },
  });
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
  coverage: Coverage;
}

export function useQueue(source: string, queue: string): UseQueryResult<QueueDetail> {
  return useQuery({
    queryKey: ["queue", source, queue],
    queryFn: ({ signal }) =>
      getJson<QueueDetail>(apiUrl(`queues/${encodeURIComponent(source)}/${encodeURIComponent(queue)}`), signal),
    meta: { refreshedBy: [{ type: "queue-refresh", source, queue }] },
  });
}

const NAMES_EVERY_MS = 30_000;

/** The same for who only needs their names: they change seldom. */
export function useQueueNames(): UseQueryResult<Page<QueueItem>> {
  return useQuery({
    queryKey: ["queue-names"],
    queryFn: ({ signal }) => fetchQueues(signal),
    staleTime: NAMES_EVERY_MS,
    meta: { refreshedBy: [{ type: "queue-refresh" }], leastMs: NAMES_EVERY_MS },
  });
}

/** All pages as one. A page holds up to 1,000 queues; beyond MOST_PAGES the rest is left out. */
async function fetchQueues(signal: AbortSignal): Promise<Page<QueueItem>> {
  let page = await getJson<Page<QueueItem>>(apiUrl("queues"), signal);
  let items = page.items;
  for (let fetched = 1; page.next_cursor !== null && fetched < MOST_PAGES; fetched += 1) {
    // Each page is asked for with the cursor of the one before.
    // oxlint-disable-next-line no-await-in-loop
    page = await getJson<Page<QueueItem>>(apiUrl("queues", { cursor: page.next_cursor }), signal);
    items = [...items, ...page.items];
  }
  return { ...page, items };
}
