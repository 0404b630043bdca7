import type { ReactNode } from "react";

import { useQueueSchedulers, type SchedulerItem } from "../../api/schedulers.ts";
import { ago } from "../../format/time.ts";
import { missedOf, nextOf, rhythmOf } from "../../parts/due.ts";
import { StateBadge } from "../../parts/StateBadge.tsx";
import { Told } from "../../parts/Told.tsx";
import { When } from "../../parts/When.tsx";
import { useNow } from "../../shell/useNow.ts";

/** The schedulers that fill a queue: when each is due, and whether it is late. */
export function Schedulers({ source, queue }: { source: string; queue: string }): ReactNode {
  const { data, error } = useQueueSchedulers(source, queue);
  if (!error && !data?.items.length) return null;
  return (
    <section className="panel" aria-label="Schedulers" data-testid="queue-schedulers">
      <h2>
        Schedulers
        <Told asOf={data?.as_of} isQuiet />
      </h2>
      {error && <p className="panel-quiet">Not known just now: {error.message}.</p>}
      <ul className="panel-list">
        {data?.items.map((scheduler) => (
          <li key={scheduler.scheduler} data-row>
            <SchedulerLine scheduler={scheduler} />
          </li>
        ))}
      </ul>
    </section>
  );
}

function SchedulerLine({ scheduler }: { scheduler: SchedulerItem }): ReactNode {
  const now = useNow();
  const { next_run, last_run } = scheduler;
  const missed = missedOf(scheduler);
  return (
    <span className="scheduler">
      <strong>
        <bdi>{scheduler.scheduler}</bdi>
      </strong>
      <code>{rhythmOf(scheduler)}</code>
      <span className="panel-quiet">
        {next_run === null ? nextOf(scheduler, now) : <When at={next_run}>{nextOf(scheduler, now)}</When>}
      </span>
      {last_run !== null && (
        <span className="panel-quiet">
          <When at={last_run}>last {ago(now - Date.parse(last_run))}</When>
        </span>
      )}
      {scheduler.last_outcome !== null && <StateBadge state={scheduler.last_outcome} />}
      {missed !== "" && (
        <span className="reason" data-bad="true">
          {missed}
        </span>
      )}
    </span>
  );
}
