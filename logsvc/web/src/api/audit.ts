import { useQuery, type UseQueryResult } from "@tanstack/react-query";

import { apiUrl, getJson } from "./client.ts";

/** Who did what, and what came of it. */
export interface AuditItem {
  id: number;
  at: string;
  user_id: string;
  name: string;
  role: string;
  action: string;
  /** Of an action on jobs or a queue: `source/queue`. */
  target: string;
  outcome: string;
  address: string;
  request_id: string | null;
  /** Why, in their words; empty where they gave none. */
  reason: string;
}

const MOST = 500;

/** The newest entries of the audit, which admins may read. target: only of this queue, `source/queue`. */
export function useAudit(isAdmin: boolean, target = ""): UseQueryResult<readonly AuditItem[]> {
  return useQuery({
    queryKey: ["audit", target],
    queryFn: async ({ signal }) =>
      (await getJson<{ items: AuditItem[] }>(apiUrl("audit", { limit: String(MOST), target }), signal)).items,
    enabled: isAdmin,
    staleTime: 5_000,
    meta: { refreshedBy: [{ type: "audit-refresh" }] },
  });
}
