import { describe, expect, it } from "vitest";

import type { Lane, RedisState, Service, System } from "../../api/system.ts";
import { byTopic, findingsOf, wellWords } from "./health.ts";

const NOW = Date.parse("2026-11-22T12:00:00Z");
const lane: Lane = {
  topic: "tocsin.jobs",
  partition: 0,
  state: "storing",
  incarnation: "",
  next_offset: 1,
  lag: 2,
  buffered_bytes: 10,
  dead_letters: 0,
  reason: "",
};
const redis = {
  source: "main",
  as_of: "2026-11-22T11:59:58Z",
  is_reachable: true,
  policy: "noeviction",
  evicted_keys: 0,
  memory_bytes: 10,
  max_memory_bytes: 0,
} as RedisState;
const bridge: Service = {
  service: "bridge",
  address: "http://10.0.0.7:9101",
  as_of: "2026-11-22T11:59:58Z",
  problem: "",
  version: "0.1.0",
  missing: [],
  breakers: { kafka: "closed" },
  lag_seconds: 0,
};
const well = {
  as_of: "2026-11-22T11:59:59Z",
  coverage: { history_since: null, events_lost: 0 },
  pipeline: [lane],
  all_dead_letters: { count: 0, newest: [] },
  breakers: { clickhouse: "closed" },
  services: [],
  sources: [redis],
  gaps: [],
  losses: [],
} as unknown as System;

function texts(change: Partial<System>): string[] {
  return findingsOf({ ...well, ...change }, NOW).map(({ text }) => text);
}

describe("findingsOf", () => {
  it("finds nothing wrong with what is well", () => {
    expect(texts({})).toEqual([]);
  });

  it("says of what is well how much is on its way", () => {
    expect(wellWords(well)).toMatch(/2 new records on the way to history\.$/u);
    expect(wellWords({ pipeline: [{ ...lane, lag: 0 }] })).toMatch(/everything is stored\.$/u);
  });

  it("names what does not answer first, then what was lost", () => {
    expect(
      texts({
        losses: [
          { env: "prod", gaps: 300, lost: 200 },
          { env: "staging", gaps: 1, lost: 18 },
        ],
        breakers: { clickhouse: "open" },
        sources: [{ ...redis, is_reachable: false }],
      }),
    ).toEqual([
      "clickhouse does not answer (breaker open)",
      "Redis of main does not answer the bridge",
      "218 events were lost in the last 7 days",
    ]);
  });

  it("names a bridge or bot that is silent, behind, or hears nothing of others", () => {
    expect(texts({ services: [bridge, { ...bridge, as_of: null, problem: "nothing listens there" }] })).toEqual([]);
    const silent = { ...bridge, as_of: "2026-11-22T11:58:00Z", problem: "no answer in 2 s" };
    expect(texts({ services: [silent] })).toEqual([
      "bridge at 10.0.0.7:9101 has not answered for 2 min: no answer in 2 s",
    ]);
    expect(texts({ services: [{ ...bridge, lag_seconds: 300, breakers: { kafka: "open" } }] })).toEqual([
      "kafka does not answer bridge at 10.0.0.7:9101 (breaker open)",
      "bridge at 10.0.0.7:9101 is 5 min behind",
    ]);
    expect(texts({ breakers: { "bridge status": "open" } })).toEqual([]);
  });

  it("warns of a Redis that throws jobs away, is full, or was not looked at", () => {
    expect(texts({ sources: [{ ...redis, policy: "allkeys-lru", evicted_keys: 3 }] })).toEqual([
      "Redis of main may throw jobs away: maxmemory-policy is allkeys-lru, and has thrown away 3 keys",
    ]);
    expect(texts({ sources: [{ ...redis, max_memory_bytes: 10 }] })).toEqual(["Redis of main is 100 % full"]);
    expect(texts({ sources: [{ ...redis, as_of: "2026-11-22T11:50:00Z" }] })).toEqual([
      "Redis of main was last looked at 10 min ago",
    ]);
  });

  it("tells of what is stuck or behind", () => {
    expect(texts({ pipeline: [{ ...lane, state: "retrying", reason: "ClickHouse is away" }] })).toEqual([
      "1 partition cannot be stored: ClickHouse is away",
    ]);
    expect(texts({ as_of: "2026-11-22T11:58:00Z" })).toEqual(["History is 2 min behind"]);
  });
});

describe("byTopic", () => {
  it("adds the partitions of a topic up", () => {
    expect(byTopic([lane, { ...lane, partition: 1, state: "retrying", reason: "no" }])).toEqual([
      {
        topic: "tocsin.jobs",
        partitions: 2,
        states: ["storing", "retrying"],
        lag: 4,
        bufferedBytes: 20,
        reasons: ["no"],
      },
    ]);
  });
});
