import { useQueries } from "@tanstack/react-query";

import { apiUrl, getJson } from "../../api/client.ts";
import type { Page, Row } from "../../api/types.ts";

/** Jobs that were retried, in one queue. since: everything up to then was before the retry, by the server's clock. */
export interface Retried {
  source: string;
  queue: string;
  jobIds: readonly string[];
  since: string;
}

/** How retried jobs ended, as far as they have. */
export interface Ends {
  completed: number;
  failed: number;
}

/** How all that is followed ended. unknown: of so many there is no answer just now. */
export interface Aftermath extends Ends {
  followed: number;
  unknown: number;
}

/** So few that also jobs of many attempts fit in an answer: a retry leaves a row or two for each attempt. */
const MOST_IDS = 40;
const MOST_ROWS = 1_000;
const EVERY_MS = 3_000;
/** Beyond these nobody watches a dialog; the Errors page itself goes on counting. */
export const MOST_FOLLOWED = 400;

/** Count how jobs ended after their retry: by the newest end that follows the return to waiting. rows: newest first. */
export function endsOf(rows: readonly Row[]): Ends {
  const ends: Ends = { completed: 0, failed: 0 };
  const settled = new Set<string>();
  const lastEnd = new Map<string, "completed" | "failed">();
  for (const row of rows) {
    const id = row.job_id ?? "";
    if (settled.has(id)) continue;
    if (row.event === "waiting" && row.prev === "failed") {
      settled.add(id);
      const end = lastEnd.get(id);
      if (end) ends[end] += 1;
    } else if ((row.event === "completed" || row.event === "failed") && !lastEnd.has(id)) {
      lastEnd.set(id, row.event);
    }
  }
  return ends;
}

/** What becomes of retried jobs, looked at every few seconds until all have ended. */
export function useAftermath(retried: readonly Retried[]): Aftermath {
  const parts = retried.flatMap(partsOf).slice(0, Math.ceil(MOST_FOLLOWED / MOST_IDS));
  const answers = useQueries({
    queries: parts.map((part) => ({
      queryKey: ["aftermath", part],
      queryFn: ({ signal }: { signal: AbortSignal }) => askEnds(part, signal),
      refetchInterval: ({ state: { data } }: { state: { data: Ends | undefined } }) =>
        data && data.completed + data.failed >= part.jobIds.length ? (false as const) : EVERY_MS,
      retry: false,
      gcTime: 0,
    })),
  });
  return sumOf(parts.map((part, index) => ({ followed: part.jobIds.length, ends: answers[index]?.data })));
}

/** All parts together. ends: undefined where there is no answer. */
export function sumOf(parts: readonly { followed: number; ends: Ends | undefined }[]): Aftermath {
  const sum = { completed: 0, failed: 0, followed: 0, unknown: 0 };
  for (const { followed, ends } of parts) {
    sum.followed += followed;
    if (ends === undefined) sum.unknown += followed;
    sum.completed += ends?.completed ?? 0;
    sum.failed += ends?.failed ?? 0;
  }
  return sum;
}

function partsOf(retried: Retried): Retried[] {
  const parts: Retried[] = [];
  for (let at = 0; at < retried.jobIds.length; at += MOST_IDS) {
    parts.push({ ...retried, jobIds: retried.jobIds.slice(at, at + MOST_IDS) });
  }
  return parts;
}

/** Rows of large jobs come in several pages. */
export async function askEnds({ source, queue, jobIds, since }: Retried, signal: AbortSignal): Promise<Ends> {
  const rows: Row[] = [];
  let cursor: string | null = "";
  while (cursor !== null && rows.length < MOST_ROWS) {
    const url = apiUrl("logs", {
      source,
      queue,
      job_id: jobIds,
      event: ["waiting", "completed", "failed"],
      kind: "event",
      from: since,
      limit: String(MOST_ROWS),
      cursor,
    });
    // Each page is asked for with the cursor of the one before.
    // oxlint-disable-next-line no-await-in-loop
    const page: Page<Row> = await getJson<Page<Row>>(url, signal);
    rows.push(...page.items);
    cursor = page.next_cursor;
  }
  return endsOf(rows);
}
