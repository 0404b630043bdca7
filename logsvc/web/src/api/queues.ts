import { useQuery, type UseQueryResult } from "@tanstack/react-query";

import { apiUrl, getJson } from "./client.ts";
import type { Page, QueueItem } from "./types.ts";

const MOST_PAGES = 20;

/** Every watched queue with its counts, told anew as they change; the last answer stays while a new one fails. */
export function useQueues(): UseQueryResult<Page<QueueItem>> {
  return useQuery({
    queryKey: ["queues"],
    queryFn: ({ signal }) => fetchQueues(signal),
    meta: { refreshedBy: [{ type: "queue-refresh" }] },
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
