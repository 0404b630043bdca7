import type { ReactNode } from "react";

import { useQueueSchedulers, type QueueScheduler } from "../../api/stats.ts";
import { ago, duration, fullTime } from "../../format/time.ts";
import { StateBadge } from "../../parts/StateBadge.tsx";
import { useZone } from "../../shell/timeStyle.ts";
import { useNow } from "../../shell/useNow.ts";

/** The schedulers that fill a queue: when each is due, and whether it is late. */
export function Schedulers({ source, queue }: { source: string; queue: string }): ReactNode {
  const { data, error } = useQueueSchedulers(source, queue);
  if (!error && !data?.length) return null;
  return (
    <section className="panel" aria-label="Schedulers" data-testid="queue-schedulers">
      <h2>Schedulers</h2>
      {error && <p className="panel-quiet">Not known just now: {error.message}.</p>}
      <ul className="panel-list">
        {data?.map((scheduler) => (
          <li key={scheduler.scheduler} data-row>
            <SchedulerLine scheduler={scheduler} />
          </li>
        ))}
      </ul>
    </section>
  );
}

function SchedulerLine({ scheduler }: { scheduler: QueueScheduler }): ReactNode {
  const now = useNow();
  const zone = useZone();
  const { next_run, last_run, is_overdue, overdue_seconds } = scheduler;
  const dueIn = next_run === null ? null : Date.parse(next_run) - now;
  return (
    <span className="scheduler">
      <strong>
        <bdi>{scheduler.scheduler}</bdi>
      </strong>
      <code>{scheduler.pattern || (scheduler.every ? `every ${duration(scheduler.every)}` : "")}</code>
      {scheduler.timezone !== "" && <span className="panel-quiet">{scheduler.timezone}</span>}
      <span className="panel-quiet" title={next_run === null ? undefined : fullTime(next_run, zone)}>
        {dueIn === null ? "no next run" : dueIn > 0 ? `next in ${duration(dueIn)}` : "due now"}
      </span>
      {last_run !== null && (
        <span className="panel-quiet" title={fullTime(last_run, zone)}>
          last {ago(now - Date.parse(last_run))}
        </span>
      )}
      {scheduler.last_outcome !== null && <StateBadge state={scheduler.last_outcome} />}
      {is_overdue && (
        <span className="reason" data-bad="true">
          late by {duration(overdue_seconds * 1000)}
        </span>
      )}
    </span>
  );
}
