import { useQuery, type UseQueryResult } from "@tanstack/react-query";

import { ApiError, apiUrl, getJson, retryMs } from "./client.ts";

const EVERY_MS = 60_000;

/** Who the page is for, as `GET /api/v1/me` tells it. */
export interface Me {
  user_id: string;
  name: string;
  role: "viewer" | "operator" | "admin";
  can_log_out: boolean;
  /** For the header X-CSRF-Token of a write. */
  csrf_token: string | null;
  /** TRACE_URL_TEMPLATE; null where none is set. */
  trace_url_template: string | null;
  /** Whether there is a bot to ask: for incidents, rules, views, actions. */
  has_bot: boolean;
}

/** Asked again every minute, so that a session which has ended is noticed on a quiet page too. */
export function useMe(): UseQueryResult<Me> {
  return useQuery({
    queryKey: ["me"],
    queryFn: ({ signal }) => getJson<Me>(apiUrl("me"), signal),
    // Sooner while the server is not up yet: without an answer there are no alarms and no buttons.
    refetchInterval: ({ state }) => retryMs(state.error) || EVERY_MS,
    retry: (failures, error) => failures < 1 && !isLoggedOut(error),
  });
}

/** Whether who is here may act, as operators and admins do; undefined while it is not known. */
export function useMayAct(): boolean | undefined {
  const { data: me } = useMe();
  return me && me.role !== "viewer";
}

/** Whether an answer says that one has to log in. */
export function isLoggedOut(error: unknown): boolean {
  return error instanceof ApiError && error.status === 401;
}
