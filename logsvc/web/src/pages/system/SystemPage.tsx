import type { ReactNode } from "react";

import { useSystem, type Gap, type System } from "../../api/system.ts";
import { bytes } from "../../format/bytes.ts";
import { count, counted } from "../../format/count.ts";
import { ago, fullTime } from "../../format/time.ts";
import { filterToSearch, NO_FILTER } from "../../live/filter.ts";
import { queuePlace } from "../../parts/addresses.ts";
import { Trouble } from "../../parts/Trouble.tsx";
import { EnvBadge } from "../../shell/EnvBadge.tsx";
import { inEnvs, useEnvs } from "../../shell/envs.ts";
import { Link } from "../../shell/Link.tsx";
import { useNow } from "../../shell/useNow.ts";
import { useZone } from "../../shell/timeStyle.ts";
import { DeadLetters } from "./DeadLetters.tsx";
import { byTopic, findingsOf, wellWords, type Finding } from "./health.ts";
import { RedisTable } from "./RedisTable.tsx";
import "./system.css";

/** How Tocsin itself does: what is not well first, then the parts. */
export function SystemPage(): ReactNode {
  const { data: system, error, isPending, dataUpdatedAt, refetch } = useSystem();
  return (
    <div className="sheet">
      <div className="page-head">
        <h1>System</h1>
        {system && <p className="page-sum">Tocsin {system.version}</p>}
      </div>
      {error && (
        <Trouble
          what="The state of Tocsin"
          error={error}
          shownSince={system ? dataUpdatedAt : 0}
          retry={() => void refetch()}
        />
      )}
      {isPending && <p className="empty empty-quiet">Looking…</p>}
      {system && <Parts system={system} />}
    </div>
  );
}

function Parts({ system }: { system: System }): ReactNode {
  const now = useNow();
  const envs = useEnvs();
  const isShown = ({ env }: { env: string }): boolean => envs.length === 0 || envs.includes(env);
  return (
    <div className="page-body">
      <Findings findings={findingsOf(system, now)} well={wellWords(system)} />
      <Pipeline system={system} now={now} />
      <RedisTable sources={system.sources.filter(isShown)} envs={envs} now={now} />
      <Gaps gaps={system.gaps?.filter(isShown) ?? null} envs={envs} />
      <DeadLetters letters={system.all_dead_letters} />
      <Breakers breakers={system.breakers} />
      <Versions system={system} />
    </div>
  );
}

function Findings({ findings, well }: { findings: readonly Finding[]; well: string }): ReactNode {
  if (findings.length === 0) {
    return (
      <p className="all-well" data-testid="all-well">
        {well}
      </p>
    );
  }
  return (
    <ul className="findings" data-testid="findings">
      {findings.map(({ tone, text, mend }) => (
        <li key={text} data-tone={tone}>
          <strong>{text}.</strong> <span>{mend}</span>
        </li>
      ))}
    </ul>
  );
}

function Pipeline({ system, now }: { system: System; now: number }): ReactNode {
  const facts: [string, string][] = [
    ["History is complete up to", system.as_of ? ago(now - Date.parse(system.as_of)) : "not known now"],
    ["Kept since", system.coverage.history_since ? fullTime(system.coverage.history_since) : "not known now"],
    ["Queues counted", system.queues_as_of ? ago(now - Date.parse(system.queues_as_of)) : "not yet"],
    ["Live viewers", `${count(system.live.viewers)} of this replica`],
    ["Kept for who reconnects", `${counted(system.live.ring_rows, "line")}, ${bytes(system.live.ring_bytes)}`],
  ];
  return (
    <section>
      <h2 className="section-title">Pipeline</h2>
      <dl className="facts facts-plain">
        {facts.map(([name, value]) => (
          <div key={name} className="facts-row">
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      <div className="table-frame">
        <table className="table">
          <thead>
            <tr>
              <th scope="col">Kafka topic</th>
              <th scope="col">State</th>
              <th scope="col" className="number">
                Partitions
              </th>
              <th scope="col" className="number">
                Not stored yet
              </th>
              <th scope="col" className="number">
                In memory
              </th>
            </tr>
          </thead>
          <tbody>
            {byTopic(system.pipeline).map((topic) => (
              <tr key={topic.topic} data-bad={topic.reasons.length > 0}>
                <th scope="row">
                  <span className="name">{topic.topic}</span>
                </th>
                <td data-name="State">
                  {topic.states.join(", ")}
                  {topic.reasons.length > 0 && <span className="quiet">: {topic.reasons.join("; ")}</span>}
                </td>
                <td className="number" data-name="Partitions">
                  {count(topic.partitions)}
                </td>
                <td className="number" data-name="Not stored yet">
                  {count(topic.lag)}
                </td>
                <td className="number" data-name="In memory">
                  {bytes(topic.bufferedBytes)}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

const AROUND_MS = 60_000;

function Gaps({ gaps, envs }: { gaps: readonly Gap[] | null; envs: readonly string[] }): ReactNode {
  const zone = useZone();
  return (
    <section>
      <h2 className="section-title">Gaps of the last 7 days</h2>
      {gaps === null && <p className="quiet">Not known now: ClickHouse does not answer.</p>}
      {gaps?.length === 0 && (
        <p className="quiet">None{inEnvs(envs)}: every event was read before BullMQ trimmed it.</p>
      )}
      {gaps !== null && gaps.length > 0 && (
        <div className="table-frame">
          <table className="table">
            <thead>
              <tr>
                <th scope="col">Queue</th>
                <th scope="col">When</th>
                <th scope="col" className="number">
                  Events lost
                </th>
                <th scope="col">
                  <span className="visually-hidden">Lines</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {gaps.map((gap) => (
                <tr key={`${gap.source}/${gap.queue}/${gap.ts}`}>
                  <th scope="row">
                    <span className="with-badge">
                      <Link {...queuePlace(gap.source, gap.queue)} className="name">
                        <bdi>{gap.queue}</bdi>
                      </Link>
                      <EnvBadge env={gap.env} />
                      <span className="quiet">{gap.source}</span>
                    </span>
                  </th>
                  <td>{fullTime(gap.ts, zone)}</td>
                  <td className="number" data-name="Events lost">
                    {count(gap.lost)}
                  </td>
                  <td className="number">
                    <Link path="logs" search={aroundGap(gap)}>
                      Lines around it
                    </Link>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}

function aroundGap(gap: Gap): string {
  const filter = filterToSearch({ ...NO_FILTER, source: [gap.source], queue: [gap.queue] });
  const at = Date.parse(gap.ts);
  const range = { from: new Date(at - AROUND_MS).toISOString(), to: new Date(at + AROUND_MS).toISOString() };
  return `${filter}&${new URLSearchParams(range).toString()}`;
}

function Breakers({ breakers }: { breakers: System["breakers"] }): ReactNode {
  return (
    <section>
      <h2 className="section-title">What logsvc asks of others</h2>
      <ul className="breakers">
        {Object.entries(breakers).map(([name, state]) => (
          <li key={name}>
            {name}{" "}
            <span className="tag" data-tone={state === "closed" ? "good" : "error"}>
              {state === "closed" ? "answers" : `breaker ${state.replaceAll("_", " ")}`}
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Versions({ system: { versions } }: { system: System }): ReactNode {
  const facts: [string, string][] = [
    ["Tocsin", versions.tocsin],
    ["Wire contract", String(versions.contract)],
    ["Python", versions.python],
    ["ClickHouse", versions.clickhouse ?? "not known now"],
    ["BullMQ, of the queues", versions.bullmq.join(", ") || "not told by the queues"],
  ];
  return (
    <section>
      <h2 className="section-title">Versions</h2>
      <dl className="facts facts-plain">
        {facts.map(([name, value]) => (
          <div key={name} className="facts-row">
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}
