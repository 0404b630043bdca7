import { useQuery, type UseMutationResult, type UseQueryResult } from "@tanstack/react-query";

import { apiUrl, getJson, sendJson } from "./client.ts";
import { useMe } from "./me.ts";
import { useWrite } from "./write.ts";

/** A page as somebody likes to see it. */
export interface View {
  id: number;
  title: string;
  owner: string;
  owner_name: string;
  /** The page's address from its path on: `/logs?queue=orders`. */
  query: string;
  /** Where its owner begins. */
  is_home: boolean;
  /** Everybody sees it. */
  shared: boolean;
  changed_at: string;
}

export type ViewWish = Pick<View, "title" | "query" | "is_home" | "shared">;

export function fetchViews(signal?: AbortSignal): Promise<{ items: readonly View[] }> {
  return getJson<{ items: View[] }>(apiUrl("views"), signal);
}

export function useViews(isWanted = true): UseQueryResult<readonly View[]> {
  const { data: me } = useMe();
  return useQuery({
    queryKey: ["views"],
    queryFn: async ({ signal }) => (await fetchViews(signal)).items,
    enabled: isWanted && me?.has_bot === true,
    staleTime: 10_000,
    retry: false,
  });
}

/** Save a view anew, change one, or forget one. */
export type ViewChange =
  | { do: "save"; view: ViewWish }
  | { do: "change"; id: number; view: ViewWish }
  | { do: "forget"; id: number };

export function useViewChange(): UseMutationResult<unknown, Error, ViewChange> {
  return useWrite(send, [["views"]]);
}

function send(change: ViewChange, csrfToken: string | null): Promise<unknown> {
  if (change.do === "save") return sendJson("POST", apiUrl("views"), change.view, csrfToken);
  const url = apiUrl(`views/${change.id}`);
  if (change.do === "forget") return sendJson("DELETE", url, undefined, csrfToken);
  return sendJson("PUT", url, change.view, csrfToken);
}
