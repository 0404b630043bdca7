import { useMemo, useState, type ReactNode } from "react";

import { useQueues } from "../../api/queues.ts";
import type { QueueItem } from "../../api/types.ts";
import { count, counted } from "../../format/count.ts";
import { age } from "../../format/time.ts";
import { filterToSearch, NO_FILTER } from "../../live/filter.ts";
import { Bell, Icon } from "../../shell/icons.tsx";
import { Link } from "../../shell/Link.tsx";
import { useNow } from "../../shell/useNow.ts";
import { byTrouble, type Trouble } from "./trouble.ts";
import "./queues.css";

/** Every watched queue, trouble first. */
export function QueuesPage(): ReactNode {
  const { data, error, dataUpdatedAt, isPending, refetch } = useQueues();
  const now = useNow();
  const [needle, setNeedle] = useState("");
  const ranked = useMemo(() => byTrouble(data?.items ?? [], now), [data, now]);
  const shown = ranked.filter(({ item }) => item.queue.toLowerCase().includes(needle.toLowerCase()));
  const troubled = ranked.filter(({ trouble }) => trouble.score > 0).length;
  const hasSources = new Set(ranked.map(({ item }) => `${item.source} ${item.env}`)).size > 1;

  return (
    <div className="queues">
      <div className="queues-head">
        <h1>Queues</h1>
        <p className="queues-sum">
          {data && (
            <>
              {counted(ranked.length, "queue")}
              {ranked.length > 0 && (troubled === 0 ? ", all healthy" : `, ${count(troubled)} with trouble`)}
            </>
          )}
        </p>
        <span className="header-space" />
        <label className="text-filter queues-filter">
          <Icon name="search" />
          <input
            type="search"
            aria-label="Find a queue"
            placeholder="Find a queue"
            value={needle}
            onChange={(event) => setNeedle(event.target.value)}
          />
        </label>
      </div>
      {error && (
        <div className="banner banner-bad" role="alert">
          <span>
            {error.message}.{" "}
            {data
              ? `These are the counts of ${age(now - dataUpdatedAt)} ago; trying again by itself.`
              : "Trying again by itself."}
          </span>
          <button type="button" className="link-button" onClick={() => void refetch()}>
            Try now
          </button>
        </div>
      )}
      {isPending && <p className="empty empty-quiet">Counting…</p>}
      {data && ranked.length === 0 && (
        <div className="empty">
          <Bell />
          <h2>No queues yet</h2>
          <p>
            Tocsin has not seen a BullMQ queue. Does <code>REDIS_URL</code> name the Redis of your app?{" "}
            <code>tocsin doctor</code> says what is missing.
          </p>
        </div>
      )}
      {shown.length > 0 && <QueueTable ranked={shown} hasSources={hasSources} now={now} />}
      {ranked.length > 0 && shown.length === 0 && <p className="empty empty-quiet">No queue has this name.</p>}
    </div>
  );
}

interface QueueTableProps {
  ranked: readonly { item: QueueItem; trouble: Trouble }[];
  hasSources: boolean;
  now: number;
}

const COLUMNS = [
  { name: "Failed", of: (item: QueueItem) => item.failed },
  { name: "Waiting", of: (item: QueueItem) => item.waiting },
  { name: "Prioritized", of: (item: QueueItem) => item.prioritized },
  { name: "Active", of: (item: QueueItem) => item.active },
  { name: "Delayed", of: (item: QueueItem) => item.delayed },
  { name: "Children", of: (item: QueueItem) => item.waiting_children },
  { name: "Completed", of: (item: QueueItem) => item.completed },
] as const;

function QueueTable({ ranked, hasSources, now }: QueueTableProps): ReactNode {
  return (
    <div className="queue-table-frame">
      <table className="queue-table">
        <thead>
          <tr>
            <th scope="col">Queue</th>
            {COLUMNS.map(({ name }) => (
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
          {ranked.map(({ item, trouble }) => (
            <tr
              key={`${item.source}:${item.queue}`}
              data-testid="queue-row"
              data-queue={item.queue}
              data-trouble={trouble.reasons.some((reason) => reason.isBad)}
            >
              <th scope="row">
                <div className="queue-title">
                  <Link
                    path="logs"
                    search={searchOf(item, hasSources)}
                    className="queue-name"
                    title={`Lines of ${item.queue}`}
                  >
                    <bdi>{item.queue}</bdi>
                  </Link>
                  {hasSources && (
                    <span className="queue-source">{[item.source, item.env].filter(Boolean).join(" · ")}</span>
                  )}
                  <span className="queue-reasons">
                    {trouble.reasons.map(({ text, isBad }) => (
                      <span key={text} className="reason" data-bad={isBad}>
                        {text}
                      </span>
                    ))}
                  </span>
                </div>
              </th>
              {COLUMNS.map(({ name, of }) => (
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
                {seen(now - Date.parse(item.as_of))}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function searchOf(item: QueueItem, hasSources: boolean): string {
  return filterToSearch({ ...NO_FILTER, queue: [item.queue], source: hasSources ? [item.source] : [] });
}

function waited(seconds: number): string {
  return seconds < 60 ? `${Math.round(seconds)} s` : age(seconds * 1000);
}

function seen(ms: number): string {
  const text = age(Math.max(0, ms));
  return text === "now" ? "just now" : `${text} ago`;
}
