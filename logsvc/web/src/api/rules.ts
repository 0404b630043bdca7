import { useQuery, type UseMutationResult, type UseQueryResult } from "@tanstack/react-query";

import { apiUrl, getJson, sendJson } from "./client.ts";
import { useMe } from "./me.ts";
import { useWrite } from "./write.ts";

export const NUMBERS = ["fire", "resolve", "fire_seconds", "resolve_seconds", "least"] as const;
export type NumberName = (typeof NUMBERS)[number];
export type RuleNumbers = Readonly<Record<NumberName, number>>;

export interface Rule extends RuleNumbers {
  name: string;
  title: string;
  about: string;
  why: string;
  /** seconds, count, share, times, or yes. */
  unit: string;
  is_on: boolean;
  /** It cannot be switched on or off here. */
  is_fixed: boolean;
  changeable: readonly NumberName[];
  shipped: RuleNumbers;
  /** Places where it finds something now. */
  finds: number;
  version: number;
  changed_by: string | null;
  changed_at: string | null;
}

/** What is to be other than it ships; null = as it ships. */
export type RuleChange = Readonly<Record<NumberName, number | null>> & { readonly is_on: boolean | null };

export interface Preview {
  items: readonly {
    at: string;
    env: string;
    source: string;
    queue: string;
    fingerprint: string;
    rule: string;
    title: string;
    error: string;
    regressed: boolean;
  }[];
  count: number;
  records: number;
  from: string | null;
  to: string | null;
  is_whole: boolean;
}

export function useRules(): UseQueryResult<readonly Rule[]> {
  const { data: me } = useMe();
  return useQuery({
    queryKey: ["rules"],
    queryFn: async ({ signal }) => (await getJson<{ items: Rule[] }>(apiUrl("rules"), signal)).items,
    enabled: me?.has_bot === true,
    meta: { refreshedBy: [{ type: "rule-refresh" }] },
    retry: false,
  });
}

export interface Wanted {
  rule: Rule;
  change: RuleChange;
}

export function useChangeRule(): UseMutationResult<Rule, Error, Wanted> {
  return useWrite(
    ({ rule, change }, csrfToken) => {
      const url = apiUrl(`rules/${encodeURIComponent(rule.name)}`);
      return sendJson<Rule>("PUT", url, { version: rule.version, change }, csrfToken);
    },
    [["rules"], ["audit"]],
  );
}

const HOURS = 24;

/** What would have rung in the last 24 hours, were one rule so and the others as they are. */
export function usePreview(): UseMutationResult<Preview, Error, Wanted> {
  return useWrite(({ rule, change }, csrfToken) => {
    const asked = { rules: { [rule.name]: change }, hours: HOURS };
    return sendJson<Preview>("POST", apiUrl("rules/preview"), asked, csrfToken);
  }, []);
}
