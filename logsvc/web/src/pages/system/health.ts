import type { Lane, RedisState, System } from "../../api/system.ts";
import { count, counted } from "../../format/count.ts";
import { age } from "../../format/time.ts";

/** Something that is not well, and what to do. */
export interface Finding {
  tone: "error" | "warn";
  text: string;
  mend: string;
}

const BEHIND_MS = 30_000;
const OLD_MS = 90_000;
const FULL = 0.9;

/** Everything that is not well with Tocsin, and with the Redis it watches, worst first. now: ms since 1970. */
export function findingsOf(system: System, now: number): Finding[] {
  const found = [
    ...breakerFindings(system),
    ...serviceFindings(system, now),
    ...laneFindings(system, now),
    ...system.sources.flatMap((source) => redisFindings(source, now)),
    ...lossFindings(system),
  ];
  return found.toSorted((one, other) => Number(other.tone === "error") - Number(one.tone === "error"));
}

/** What is said where nothing is found. Records are always on their way for a moment: no matter, and no secret. */
export function wellWords({ pipeline }: Pick<System, "pipeline">): string {
  const lag = pipeline.reduce((sum, lane) => sum + lane.lag, 0);
  const stored = lag === 0 ? "everything is stored" : `${counted(lag, "new record")} on the way to history`;
  return `All is well: everything answers, nothing was lost, ${stored}.`;
}

const MISSED: Readonly<Record<string, string>> = {
  clickhouse: "History, search and Errors are away; queues, live and alerts go on.",
  bot: "Login links, actions, incidents and views are away; what is shown goes on.",
};

/** How somebody who is asked does, by the state of the breaker. */
export function breakerWords(state: string): string {
  return state === "closed" ? "answers" : `breaker ${state.replaceAll("_", " ")}`;
}

/** Those of `bridge status` and `bot status` are told by what is known of the services themselves. */
function breakerFindings({ breakers }: System): Finding[] {
  return Object.entries(breakers)
    .filter(([name, state]) => state !== "closed" && !name.endsWith(" status"))
    .map(([name, state]) => ({
      tone: "error",
      text: `${name} does not answer (breaker ${state.replaceAll("_", " ")})`,
      mend: `${MISSED[name] ?? ""} It is tried again by itself; the log of logsvc says why.`.trim(),
    }));
}

const FALLEN_BEHIND_SECONDS = 60;

function serviceFindings({ services }: System, now: number): Finding[] {
  return services.flatMap((one) => {
    const name = `${one.service} at ${one.address.replace(/^https?:\/\//u, "")}`;
    // One that was never heard of may not be there at all; a bridge that is missing shows by its sources.
    if (one.as_of === null) return [];
    if (one.problem !== "") {
      const mend = "What it said last is below. See its log; another replica of it may do its work.";
      const since = age(now - Date.parse(one.as_of));
      return [{ tone: "error", text: `${name} has not answered for ${since}: ${one.problem}`, mend } as const];
    }
    const broken = Object.entries(one.breakers).filter(([, state]) => state !== "closed");
    const found: Finding[] = broken.map(([asked, state]) => ({
      tone: "error",
      text: `${asked} does not answer ${name} (${breakerWords(state)})`,
      mend: `It is tried again by itself; the log of ${one.service} says why.`,
    }));
    if ((one.lag_seconds ?? 0) > FALLEN_BEHIND_SECONDS) {
      const mend =
        one.service === "bridge" ? "Kafka is behind Redis: see the log of bridge." : "Incidents are late by that much.";
      found.push({ tone: "warn", text: `${name} is ${age((one.lag_seconds ?? 0) * 1000)} behind`, mend });
    }
    return found;
  });
}

function laneFindings({ pipeline, as_of: asOf }: System, now: number): Finding[] {
  const stuck = pipeline.filter(({ state }) => state === "retrying" || state === "stopped");
  const reasons = [...new Set(stuck.map(({ reason }) => reason).filter(Boolean))];
  const found: Finding[] = [];
  if (stuck.length > 0) {
    found.push({
      tone: "error",
      text: `${counted(stuck.length, "partition")} cannot be stored: ${reasons.join("; ") || "see below"}`,
      mend: "Kafka keeps what comes in; it is stored once the cause is gone.",
    });
  }
  if (pipeline.length === 0) {
    const mend =
      "Another replica may hold all partitions; if there is none, wait a moment, then see the log of logsvc.";
    found.push({ tone: "warn", text: "This replica stores no partition", mend });
  } else if (asOf !== null && now - Date.parse(asOf) > BEHIND_MS) {
    const mend = "History is older than the live page until it has caught up.";
    found.push({ tone: "warn", text: `History is ${age(now - Date.parse(asOf))} behind`, mend });
  }
  return found;
}

function redisFindings(redis: RedisState, now: number): Finding[] {
  const name = `Redis of ${redis.source}`;
  if (!redis.is_reachable) {
    const mend =
      "Its queues are as they were last seen. Look at the network and the login of that source: tocsin doctor.";
    return [{ tone: "error", text: `${name} does not answer the bridge`, mend }];
  }
  const found: Finding[] = [];
  const old = now - Date.parse(redis.as_of);
  if (old > OLD_MS) {
    const mend = "Does a bridge run that watches this source?";
    found.push({ tone: "error", text: `${name} was last looked at ${age(old)} ago`, mend });
  }
  if (redis.policy !== "" && redis.policy !== "noeviction") {
    const evicted = redis.evicted_keys ? `, and has thrown away ${counted(redis.evicted_keys, "key")}` : "";
    found.push({
      tone: redis.evicted_keys ? "error" : "warn",
      text: `${name} may throw jobs away: maxmemory-policy is ${redis.policy}${evicted}`,
      mend: "Set maxmemory-policy noeviction, as BullMQ asks for.",
    });
  }
  const share = fullness(redis);
  if (share !== null && share > FULL) {
    const mend = "When it is full it refuses new jobs. Raise maxmemory, or keep fewer finished jobs.";
    found.push({ tone: "warn", text: `${name} is ${Math.round(share * 100)} % full`, mend });
  }
  if (redis.is_rdb_ok === false || redis.is_aof_ok === false) {
    const mend = "What it holds would be lost in a crash: look at its log and its disk.";
    found.push({ tone: "warn", text: `${name} could not write itself to disk`, mend });
  }
  if (redis.is_loading) {
    found.push({ tone: "warn", text: `${name} is loading its data`, mend: "It answers once that is done." });
  }
  return found;
}

function lossFindings({ losses, all_dead_letters: letters, coverage }: System): Finding[] {
  const found: Finding[] = [];
  const lost = (losses ?? []).reduce((sum, one) => sum + one.lost, 0);
  if (lost > 0) {
    found.push({
      tone: "warn",
      text: `${counted(lost, "event")} were lost in the last 7 days`,
      mend: "BullMQ had trimmed them before the bridge read them. Raise streams.events.maxLen of those queues.",
    });
  }
  if (letters.count > 0) {
    found.push({
      tone: "warn",
      text: `${count(letters.count)} ${letters.count === 1 ? "record" : "records"} could not be read or stored`,
      mend: "They are kept as dead letters, below.",
    });
  }
  if (coverage.events_lost === null && losses === null) {
    found.push({ tone: "warn", text: "What was lost is not known now", mend: "It is told once ClickHouse answers." });
  }
  return found;
}

/** Used memory of what is allowed; null where there is no bound, or it is not told. */
export function fullness({ memory_bytes: used, max_memory_bytes: most }: RedisState): number | null {
  return used === null || !most ? null : used / most;
}

/** The partitions of one topic as one line. */
export interface TopicState {
  topic: string;
  partitions: number;
  states: readonly string[];
  lag: number;
  bufferedBytes: number;
  reasons: readonly string[];
}

export function byTopic(lanes: readonly Lane[]): TopicState[] {
  const topics = [...new Set(lanes.map(({ topic }) => topic))];
  return topics.map((topic) => {
    const own = lanes.filter((lane) => lane.topic === topic);
    return {
      topic,
      partitions: own.length,
      states: [...new Set(own.map(({ state }) => state))],
      lag: own.reduce((sum, { lag }) => sum + lag, 0),
      bufferedBytes: own.reduce((sum, lane) => sum + lane.buffered_bytes, 0),
      reasons: [...new Set(own.map(({ reason }) => reason).filter(Boolean))],
    };
  });
}
