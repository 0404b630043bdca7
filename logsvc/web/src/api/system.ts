import { useQuery, type UseQueryResult } from "@tanstack/react-query";

import { apiUrl, getJson } from "./client.ts";
import type { DeadLetter } from "./deadLetters.ts";
import type { Coverage } from "./types.ts";

export interface Lane {
  topic: string;
  partition: number;
  /** restoring, recovering, storing, retrying, fenced or stopped. */
  state: string;
  incarnation: string;
  next_offset: number | null;
  lag: number;
  buffered_bytes: number;
  dead_letters: number;
  /** Why it is retrying; empty: it is not. */
  reason: string;
}

export interface Gap {
  ts: string;
  env: string;
  source: string;
  queue: string;
  lost: number;
}

/** All that one environment lost in the last 7 days. */
export interface EnvLosses {
  env: string;
  gaps: number;
  lost: number;
}

/** The Redis of one source at as_of; null = it does not say. */
export interface RedisState {
  env: string;
  source: string;
  as_of: string;
  is_reachable: boolean;
  ping_ms: number | null;
  queues: number | null;
  server: string;
  role: string;
  memory_bytes: number | null;
  /** 0 = no bound. */
  max_memory_bytes: number | null;
  policy: string;
  evicted_keys: number | null;
  clients: number | null;
  max_clients: number | null;
  blocked_clients: number | null;
  commands_per_second: number | null;
  is_loading: boolean | null;
  is_rdb_ok: boolean | null;
  is_aof_on: boolean | null;
  is_aof_ok: boolean | null;
}

/** One replica of bridge or bot, as it said at as_of; null = it never did. */
export interface Service {
  service: string;
  address: string;
  as_of: string | null;
  /** Why it is not known now; empty: it answers. */
  problem: string;
  version: string;
  missing: readonly string[];
  breakers: Readonly<Record<string, string>>;
  lag_seconds: number | null;
}

export interface System {
  version: string;
  versions: { tocsin: string; contract: number; python: string; clickhouse: string | null; bullmq: readonly string[] };
  /** Everything up to then is stored; null = not known. */
  as_of: string | null;
  coverage: Coverage;
  pipeline: readonly Lane[];
  all_dead_letters: { count: number; newest: readonly DeadLetter[] };
  breakers: Readonly<Record<string, string>>;
  services: readonly Service[];
  live: { as_of: string | null; viewers: number; ring_rows: number; ring_bytes: number };
  queues: number;
  schedulers: number;
  queues_as_of: string | null;
  sources: readonly RedisState[];
  /** Of the last 7 days: the newest of each environment, and all of them counted; null = ClickHouse is down. */
  gaps: readonly Gap[] | null;
  losses: readonly EnvLosses[] | null;
}

/** How Tocsin itself does. */
export function useSystem(): UseQueryResult<System> {
  return useQuery({
    queryKey: ["system"],
    queryFn: ({ signal }) => getJson<System>(apiUrl("system"), signal),
    meta: { refreshedBy: [{ type: "system-refresh" }], leastMs: 2_000 },
  });
}
