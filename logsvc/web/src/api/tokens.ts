import { useQuery, type UseMutationResult, type UseQueryResult } from "@tanstack/react-query";

import { apiUrl, getJson, sendJson } from "./client.ts";
import { useMe, type Me } from "./me.ts";
import { useWrite } from "./write.ts";

export interface Token {
  id: string;
  name: string;
  role: Me["role"];
  created_at: string;
  created_by: string;
  expires_at: string | null;
  revoked_at: string | null;
  /** The secret: told once, by the answer that makes it. */
  token: string | null;
}

export interface TokenWish {
  name: string;
  role: Me["role"];
  /** How long it is good; null = until it is revoked. */
  days: number | null;
}

export function useTokens(): UseQueryResult<readonly Token[]> {
  const { data: me } = useMe();
  return useQuery({
    queryKey: ["tokens"],
    queryFn: async ({ signal }) => (await getJson<{ items: Token[] }>(apiUrl("tokens"), signal)).items,
    enabled: me?.role === "admin" && me.has_bot,
    meta: { refreshedBy: [{ type: "audit-refresh" }] },
    retry: false,
  });
}

const CHANGED = [["tokens"], ["audit"]];

export function useMakeToken(): UseMutationResult<Token, Error, TokenWish> {
  return useWrite((wish, csrfToken) => sendJson<Token>("POST", apiUrl("tokens"), wish, csrfToken), CHANGED);
}

export function useRevokeToken(): UseMutationResult<unknown, Error, string> {
  return useWrite((id, csrfToken) => sendJson("DELETE", apiUrl(`tokens/${id}`), undefined, csrfToken), CHANGED);
}
