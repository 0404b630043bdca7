import type { ReactNode } from "react";

import type { RedisState } from "../../api/system.ts";
import { bytes } from "../../format/bytes.ts";
import { count } from "../../format/count.ts";
import { ago, fullTime } from "../../format/time.ts";
import { EnvBadge } from "../../shell/EnvBadge.tsx";
import { inEnvs } from "../../shell/envs.ts";
import { useZone } from "../../shell/timeStyle.ts";
import { fullness } from "./health.ts";

interface RedisTableProps {
  sources: readonly RedisState[];
  /** Whose sources they are; empty: of all. */
  envs: readonly string[];
  now: number;
}

/** Every source's Redis as the bridge last saw it. */
export function RedisTable({ sources, envs, now }: RedisTableProps): ReactNode {
  return (
    <section>
      <h2 className="section-title">Redis of each source</h2>
      {sources.length === 0 && envs.length > 0 && <p className="quiet">No source{inEnvs(envs)}.</p>}
      {sources.length === 0 && envs.length === 0 && (
        <p className="quiet">No bridge has told of a Redis yet. Does one run? tocsin doctor says what is missing.</p>
      )}
      {sources.length > 0 && (
        <div className="table-frame">
          <table className="table">
            <thead>
              <tr>
                <th scope="col">Source</th>
                <th scope="col">Memory</th>
                <th scope="col">Policy</th>
                <th scope="col" className="number">
                  Evicted
                </th>
                <th scope="col" className="number">
                  Ping
                </th>
                <th scope="col" className="number">
                  Clients
                </th>
                <th scope="col" className="number">
                  Commands/s
                </th>
                <th scope="col">On disk</th>
                <th scope="col" className="number">
                  Seen
                </th>
              </tr>
            </thead>
            <tbody>
              {sources.map((redis) => (
                <RedisRow key={redis.source} redis={redis} now={now} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}

function RedisRow({ redis, now }: { redis: RedisState; now: number }): ReactNode {
  const zone = useZone();
  const isUnsafe = redis.policy !== "" && redis.policy !== "noeviction";
  return (
    <tr data-bad={!redis.is_reachable || isUnsafe}>
      <th scope="row">
        <span className="with-badge">
          <span className="name">{redis.source}</span>
          <EnvBadge env={redis.env} />
          <span className="quiet">{[redis.server, redis.role].filter(Boolean).join(", ")}</span>
          {!redis.is_reachable && (
            <span className="tag" data-tone="error">
              does not answer
            </span>
          )}
        </span>
      </th>
      <td data-name="Memory">{memoryOf(redis)}</td>
      <td data-name="Policy">
        {isUnsafe ? (
          <span className="tag" data-tone="error">
            {redis.policy}
          </span>
        ) : (
          redis.policy || "–"
        )}
      </td>
      <td className="number" data-name="Evicted">
        {told(redis.evicted_keys)}
      </td>
      <td className="number" data-name="Ping">
        {redis.ping_ms === null ? "–" : `${redis.ping_ms.toFixed(1)} ms`}
      </td>
      <td className="number" data-name="Clients">
        {told(redis.clients)}
        {redis.max_clients ? <span className="quiet"> of {count(redis.max_clients)}</span> : ""}
      </td>
      <td className="number" data-name="Commands/s">
        {told(redis.commands_per_second)}
      </td>
      <td data-name="On disk">{diskOf(redis)}</td>
      <td className="number" data-name="Seen" title={fullTime(redis.as_of, zone)}>
        {ago(now - Date.parse(redis.as_of))}
      </td>
    </tr>
  );
}

function told(value: number | null): string {
  return value === null ? "–" : count(value);
}

function memoryOf(redis: RedisState): ReactNode {
  if (redis.memory_bytes === null) return "–";
  const share = fullness(redis);
  if (share === null) {
    return (
      <>
        {bytes(redis.memory_bytes)} <span className="quiet">no bound</span>
      </>
    );
  }
  const text = `${bytes(redis.memory_bytes)} of ${bytes(redis.max_memory_bytes ?? 0)}`;
  return (
    <span className="memory">
      <meter min={0} max={1} high={0.9} optimum={0} value={share} aria-label={`Memory: ${text}`} />
      {text}
    </span>
  );
}

function diskOf({ is_aof_on: isAof, is_aof_ok: aofOk, is_rdb_ok: rdbOk }: RedisState): string {
  if (rdbOk === false || aofOk === false) return "cannot be written";
  if (isAof) return "append-only file";
  return rdbOk === null ? "–" : "snapshots";
}
