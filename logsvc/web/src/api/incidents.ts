import { queryOptions, useQuery, type UseMutationResult, type UseQueryResult } from "@tanstack/react-query";

import type { RefreshMeta } from "../live/refreshes.ts";
import { apiUrl, getJson, sendJson } from "./client.ts";
import { useMe } from "./me.ts";
import type { Page } from "./types.ts";
import { useWrite } from "./write.ts";

export type IncidentState = "new" | "firing" | "acked" | "silenced" | "resolved" | "regressed";

/** One kind of failure of one queue, or what a rule found. */
export interface Incident {
  id: number;
  env: string;
  source: string;
  queue: string;
  fingerprint: string;
  /** `failure`, or `rule`. */
  kind: string;
  rule: string;
  title: string;
  error: string;
  state: IncidentState;
  /** Failures of this episode; total: of all; hidden: of this one, under a silence. */
  count: number;
  total: number;
  hidden: number;
  episode: number;
  first_at: string;
  last_at: string;
  acked_by: string | null;
  acked_at: string | null;
  /** The newest of notes. */
  note: string | null;
  silenced_until: string | null;
  resolved_at: string | null;
  regressed: boolean;
  previous_at: string | null;
  previous_by: string | null;
  job_id: string;
  job_name: string;
  frame: string;
  attempt: number;
  max_attempts: number;
  workers: Readonly<Record<string, number>>;
  runbook: string;
  notes: readonly { by: string; at: string; text: string }[];
}

export interface Silence {
  id: number;
  is_maintenance: boolean;
  env: string;
  source: string;
  queue: string;
  fingerprint: string;
  reason: string;
  by: string;
  from_at: string;
  until: string;
  hidden: number;
}

/** `/ws` tells of what the bot keeps, and of a bot that is away or back. */
const OF_INCIDENTS: RefreshMeta = { refreshedBy: [{ type: "incident-refresh" }] };
const MOST = "200";
const ALL_ENVS: readonly string[] = [];

/** Incidents by state, the newest first; `open` is all that is not over. Asks nothing where there is no bot. */
export function useIncidents(
  state: "open" | "resolved" | "",
  envs: readonly string[] = ALL_ENVS,
): UseQueryResult<Page<Incident>> {
  const { data: me } = useMe();
  const [only] = envs;
  return useQuery({
    queryKey: ["incidents", state, envs],
    queryFn: ({ signal }) =>
      getJson<Page<Incident>>(
        apiUrl("incidents", { state, env: envs.length === 1 && only !== undefined ? only : "", limit: MOST }),
        signal,
      ),
    enabled: me?.has_bot === true,
    meta: OF_INCIDENTS,
    retry: false,
  });
}

/** Nobody has them, and nothing keeps them quiet. */
export const UNHEEDED: readonly IncidentState[] = ["new", "firing", "regressed"];
/** More than a thousand that nobody has are no longer counted one by one. */
const MOST_PAGES = 5;

/** Every incident that nobody has: asked for while nobody sees the page, too, for that is when it has to ring. */
export function unheededOptions(hasBot: boolean) {
  return queryOptions({
    queryKey: ["incidents", "unheeded"],
    queryFn: ({ signal }) => fetchUnheeded(signal),
    enabled: hasBot,
    meta: { ...OF_INCIDENTS, isAlarm: true },
    retry: false,
  });
}

async function fetchUnheeded(signal: AbortSignal): Promise<readonly Incident[]> {
  const asked = { state: UNHEEDED, limit: MOST };
  let page = await getJson<Page<Incident>>(apiUrl("incidents", asked), signal);
  let items = page.items;
  for (let fetched = 1; page.next_cursor !== null && fetched < MOST_PAGES; fetched += 1) {
    // Each page is asked for with the cursor of the one before.
    // oxlint-disable-next-line no-await-in-loop
    page = await getJson<Page<Incident>>(apiUrl("incidents", { ...asked, cursor: page.next_cursor }), signal);
    items = [...items, ...page.items];
  }
  return items;
}

export function useUnheeded(): UseQueryResult<readonly Incident[]> {
  const { data: me } = useMe();
  return useQuery(unheededOptions(me?.has_bot === true));
}

export function useIncident(id: string): UseQueryResult<Incident> {
  const { data: me } = useMe();
  return useQuery({
    queryKey: ["incident", id],
    queryFn: ({ signal }) => getJson<Incident>(apiUrl(`incidents/${encodeURIComponent(id)}`), signal),
    enabled: me?.has_bot === true,
    meta: OF_INCIDENTS,
    retry: false,
  });
}

export function useSilences(): UseQueryResult<readonly Silence[]> {
  const { data: me } = useMe();
  return useQuery({
    queryKey: ["silences"],
    queryFn: async ({ signal }) => (await getJson<{ items: Silence[] }>(apiUrl("silences"), signal)).items,
    enabled: me?.has_bot === true,
    meta: OF_INCIDENTS,
    retry: false,
  });
}

/** What people do about incidents. episode: the one that was seen; another is not touched. */
export type Handling =
  | { do: "ack" | "unack" | "resolve"; id: number; episode: number }
  | { do: "note"; id: number; text: string }
  | { do: "silence"; incident: Incident; minutes: number; reason: string }
  | { do: "maintenance"; env: string; minutes: number; reason: string }
  | { do: "unsilence"; silenceId: number };

/** Do one of them; afterwards everything about incidents is asked anew. */
export function useHandling(): UseMutationResult<unknown, Error, Handling> {
  return useWrite(send, [["incidents"], ["incident"], ["silences"], ["audit"]]);
}

function send(asked: Handling, csrfToken: string | null): Promise<unknown> {
  switch (asked.do) {
    case "note":
      return sendJson("POST", apiUrl(`incidents/${asked.id}/note`), { text: asked.text }, csrfToken);
    case "silence": {
      const { env, source, queue, fingerprint } = asked.incident;
      const { minutes, reason } = asked;
      return sendJson("POST", apiUrl("silences"), { env, source, queue, fingerprint, minutes, reason }, csrfToken);
    }
    case "maintenance": {
      const { env, minutes, reason } = asked;
      return sendJson("POST", apiUrl("silences"), { env, minutes, reason, is_maintenance: true }, csrfToken);
    }
    case "unsilence":
      return sendJson("DELETE", apiUrl(`silences/${asked.silenceId}`), undefined, csrfToken);
    default:
      return sendJson("POST", apiUrl(`incidents/${asked.id}/${asked.do}`), { episode: asked.episode }, csrfToken);
  }
}
