import { Fragment, useState, type ReactNode } from "react";

import { pauseWords, type Pause } from "../../api/pauses.ts";
import type { QueueFigures } from "../../api/stats.ts";
import type { QueueItem } from "../../api/types.ts";
import { Spark } from "../../charts/Spark.tsx";
import { count, counted, percent } from "../../format/count.ts";
import { age, ago } from "../../format/time.ts";
import { queuePlace } from "../../parts/addresses.ts";
import { EnvBadge } from "../../shell/EnvBadge.tsx";
import { Icon } from "../../shell/icons.tsx";
import { Link } from "../../shell/Link.tsx";
import { keyOfQueue, type QueueGroup, type Ranked } from "./grouping.ts";

interface QueueTableProps {
  groups: readonly QueueGroup[];
  hasSources: boolean;
  now: number;
  /** By `source/queue`; undefined while it is not known. */
  trends: ReadonlyMap<string, QueueFigures> | undefined;
  pauses: readonly Pause[] | undefined;
  /** Whether somebody is about to use a row: then rows should stay where they are, for a while after each sign of it. */
  setInUse: (isInUse: boolean) => void;
}

/** A column of counts. isRare: left out where no queue has any. */
interface Column {
  name: string;
  of: (item: QueueItem) => number;
  isRare?: boolean;
}

const COLUMNS: readonly Column[] = [
  { name: "Failed", of: (item) => item.failed },
  { name: "Waiting", of: (item) => item.waiting },
  { name: "Prioritized", of: (item) => item.prioritized, isRare: true },
  { name: "Active", of: (item) => item.active },
  { name: "Delayed", of: (item) => item.delayed },
  { name: "Children", of: (item) => item.waiting_children, isRare: true },
  { name: "Completed", of: (item) => item.completed },
];
/** Beside the counts: name, last hour, rate, workers, oldest, seen. */
const OTHER_COLUMNS = 6;

export function QueueTable({ groups, hasSources, now, trends, pauses, setInUse }: QueueTableProps): ReactNode {
  const [closed, setClosed] = useState<ReadonlySet<string>>(new Set());
  const items = groups.flatMap(({ ranked }) => ranked.map(({ item }) => item));
  const columns = COLUMNS.filter(({ of, isRare }) => !isRare || items.some((item) => of(item) > 0));
  const toggle = (name: string): void => {
    const next = new Set(closed);
    if (!next.delete(name)) next.add(name);
    setClosed(next);
  };
  return (
    <div
      className="queue-table-frame"
      onFocus={({ target }) => target.matches(":focus-visible") && setInUse(true)}
      onBlur={({ currentTarget, relatedTarget }) => !currentTarget.contains(relatedTarget) && setInUse(false)}
      onPointerDown={() => setInUse(true)}
      onPointerUp={() => setInUse(false)}
      onPointerCancel={() => setInUse(false)}
      onPointerLeave={() => setInUse(false)}
    >
      <table className="queue-table">
        <thead>
          <tr>
            <th scope="col">Queue</th>
            <th scope="col">Last hour</th>
            <th scope="col" className="number">
              Fail
            </th>
            {columns.map(({ name }) => (
              <th key={name} scope="col" className="number">
                {name}
              </th>
            ))}
            <th scope="col" className="number">
              Workers
            </th>
            <th scope="col" className="number">
              Oldest
            </th>
            <th scope="col" className="number">
              Seen
            </th>
          </tr>
        </thead>
        <tbody>
          {groups.map((group) => (
            <Fragment key={group.key}>
              {group.name !== "" && (
                <GroupRow
                  group={group}
                  span={columns.length + OTHER_COLUMNS}
                  isOpen={!closed.has(group.name)}
                  toggle={() => toggle(group.name)}
                />
              )}
              {!(group.name !== "" && closed.has(group.name)) &&
                group.ranked.map((ranked) => (
                  <QueueRow
                    key={keyOfQueue(ranked.item)}
                    ranked={ranked}
                    columns={columns}
                    hasSources={hasSources}
                    now={now}
                    figures={trends?.get(keyOfQueue(ranked.item))}
                    isTrendKnown={trends !== undefined}
                    pauses={pauses}
                  />
                ))}
            </Fragment>
          ))}
        </tbody>
      </table>
    </div>
  );
}

interface GroupRowProps {
  group: QueueGroup;
  span: number;
  isOpen: boolean;
  toggle: () => void;
}

function GroupRow({ group, span, isOpen, toggle }: GroupRowProps): ReactNode {
  const told = [
    counted(group.ranked.length, "queue"),
    group.troubled > 0 ? `${count(group.troubled)} in trouble` : "healthy",
    `${count(group.waiting)} waiting`,
    `${count(group.active)} active`,
    ...(group.failed > 0 ? [`${count(group.failed)} failed`] : []),
  ];
  return (
    <tr className="group-row" data-testid="queue-group" data-troubled={group.troubled > 0}>
      <th scope="rowgroup" colSpan={span}>
        <button type="button" className="group-toggle" aria-expanded={isOpen} onClick={toggle}>
          <Icon name={isOpen ? "chevron" : "up"} />
          <bdi>{group.name}</bdi>
          <span className="group-sum">{told.join(" · ")}</span>
        </button>
      </th>
    </tr>
  );
}

interface QueueRowProps {
  ranked: Ranked;
  columns: readonly Column[];
  hasSources: boolean;
  now: number;
  figures: QueueFigures | undefined;
  isTrendKnown: boolean;
  pauses: readonly Pause[] | undefined;
}

function QueueRow({ ranked, columns, hasSources, now, figures, isTrendKnown, pauses }: QueueRowProps): ReactNode {
  const { item, trouble } = ranked;
  const rate = figures?.failure_rate ?? null;
  return (
    <tr
      data-row
      data-testid="queue-row"
      data-queue={item.queue}
      data-trouble={trouble.reasons.some((reason) => reason.isBad)}
    >
      <th scope="row">
        <div className="queue-title">
          <Link {...queuePlace(item.source, item.queue)} className="queue-name">
            <bdi>{item.queue}</bdi>
          </Link>
          {hasSources && (
            <>
              <EnvBadge env={item.env} />
              <span className="queue-source">{item.source}</span>
            </>
          )}
          <span className="queue-reasons">
            {trouble.reasons.map(({ text, isBad }) => (
              <span key={text} className="reason" data-bad={isBad}>
                {text === "paused" ? pauseWords(pauses, item, now) : text}
              </span>
            ))}
          </span>
        </div>
      </th>
      <td className="queue-spark" data-name="Last hour" data-zero={!figures}>
        {figures && <Trend figures={figures} />}
        {!figures && <span title={isTrendKnown ? "Nothing ended" : "Not known just now"}>–</span>}
      </td>
      <td className="number" data-name="Fail" data-zero={!rate} data-bad={rate !== null && rate >= 0.2}>
        {rate === null ? "–" : percent(rate)}
      </td>
      {columns.map(({ name, of }) => (
        <td
          key={name}
          className="number"
          data-name={name}
          data-zero={of(item) === 0}
          data-bad={name === "Failed" && of(item) > 0}
        >
          {count(of(item))}
        </td>
      ))}
      <td
        className="number"
        data-name="Workers"
        data-zero={item.workers === null}
        title={item.workers === null ? "Redis does not tell" : undefined}
      >
        {item.workers === null ? "unknown" : count(item.workers)}
      </td>
      <td className="number" data-name="Oldest" data-zero={item.oldest_waiting_seconds === null}>
        {item.oldest_waiting_seconds === null ? "–" : waited(item.oldest_waiting_seconds)}
      </td>
      <td className="number" data-name="Seen" data-zero="true" title={item.as_of}>
        {ago(now - Date.parse(item.as_of))}
      </td>
    </tr>
  );
}

function Trend({ figures }: { figures: QueueFigures }): ReactNode {
  const ended = figures.completed_trend.map((done, index) => done + (figures.failed_trend[index] ?? 0));
  const label = `Last hour: ${count(figures.completed)} completed, ${count(figures.failed)} failed`;
  return <Spark label={label} values={ended} bad={figures.failed_trend} />;
}

function waited(seconds: number): string {
  return seconds < 60 ? `${Math.round(seconds)} s` : age(seconds * 1000);
}
