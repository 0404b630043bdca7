import { useQuery, type UseQueryResult } from "@tanstack/react-query";

import { apiUrl, getJson, sendJson } from "./client.ts";

/** What could not be decoded or stored. */
export interface DeadLetter {
  id: string;
  ts: string | null;
  service: string;
  reason: string;
  /** Where its record was. */
  origin: string;
  /** The same, of a record that logsvc could not store; null: it was in Redis. */
  topic: string | null;
  partition: number | null;
  offset: number | null;
  /** Whether it may be tried again. */
  can_replay: boolean;
  /** Bytes of the whole, of which body shows the beginning. */
  length: number;
  body: string;
}

export interface ReplayResult {
  /** How many are stored now by this, or would be. */
  count: number;
  outcomes: Readonly<Record<string, number>>;
  results: readonly { id: string; outcome: string; reason: string }[];
}

/** Most letters of one replay. */
export const MOST_REPLAYED = 100;

/** One letter with its whole body, which is up to 64 KiB. */
export function useDeadLetter(id: string, isOpen: boolean): UseQueryResult<DeadLetter> {
  return useQuery({
    queryKey: ["dead letter", id],
    queryFn: ({ signal }) => getJson<DeadLetter>(apiUrl(`dead-letters/${encodeURIComponent(id)}`), signal),
    enabled: isOpen,
    staleTime: Infinity,
  });
}

/** Try to store letters again. The same requestId again stores nothing twice: so after an error it can be sent again. */
export function replay(
  ids: readonly string[],
  options: { requestId: string; isDryRun: boolean; csrfToken: string | null },
): Promise<ReplayResult> {
  const body = { ids, request_id: options.requestId, dry_run: options.isDryRun };
  return sendJson<ReplayResult>("POST", apiUrl("dead-letters/replay"), body, options.csrfToken);
}
