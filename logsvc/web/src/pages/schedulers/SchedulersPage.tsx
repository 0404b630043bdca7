import type { ReactNode } from "react";

import { useSchedulers, type SchedulerItem } from "../../api/schedulers.ts";
import { count, counted } from "../../format/count.ts";
import { ago } from "../../format/time.ts";
import { jobPlace, searchWith } from "../../parts/addresses.ts";
import { FindBox } from "../../parts/FindBox.tsx";
import { QueueName } from "../../parts/QueueName.tsx";
import { StateBadge } from "../../parts/StateBadge.tsx";
import { TableExport } from "../../parts/TableExport.tsx";
import { Told } from "../../parts/Told.tsx";
import { Trouble } from "../../parts/Trouble.tsx";
import { When } from "../../parts/When.tsx";
import { inEnvs, useEnvs } from "../../shell/envs.ts";
import { Bell } from "../../shell/icons.tsx";
import { Link } from "../../shell/Link.tsx";
import type { PageProps } from "../../shell/pages.ts";
import { navigate } from "../../shell/router.ts";
import { useNow } from "../../shell/useNow.ts";
import { byDue, missedOf, nextOf, rhythmOf } from "../../parts/due.ts";

/** Every job scheduler: what is overdue first, then what is due next. */
export function SchedulersPage({ search }: PageProps): ReactNode {
  const envs = useEnvs();
  const { data, error, isPending, dataUpdatedAt, refetch } = useSchedulers(envs);
  const needle = new URLSearchParams(search).get("q") ?? "";
  const all = byDue(data?.items ?? []);
  const shown = all.filter(({ scheduler, queue, job_name: name }) =>
    `${scheduler}\n${queue}\n${name}`.toLowerCase().includes(needle.toLowerCase()),
  );
  const late = all.filter((item) => item.is_overdue).length;
  return (
    <div className="sheet">
      <div className="page-head">
        <h1>Schedulers</h1>
        <p className="page-sum">
          {data?.next_cursor && "the first "}
          {data && counted(all.length, "scheduler")}
          {all.length > 0 && (late === 0 ? ", all on time" : `, ${count(late)} overdue`)}
          <Told asOf={data?.as_of} />
        </p>
        <FindBox
          label="Find a scheduler"
          value={needle}
          change={(value) => navigate("schedulers", searchWith(search, "q", value), { replace: true })}
        />
        <TableExport name="schedulers" rows={shown} />
      </div>
      {error && (
        <Trouble what="Schedulers" error={error} shownSince={data ? dataUpdatedAt : 0} retry={() => void refetch()} />
      )}
      {isPending && <p className="empty empty-quiet">Looking…</p>}
      {data && all.length === 0 && (
        <div className="empty" data-testid="empty">
          <Bell />
          <h2>No schedulers</h2>
          <p>
            No queue{inEnvs(envs)} has a job scheduler. One shows here as soon as your app calls{" "}
            <code>queue.upsertJobScheduler</code>.
          </p>
        </div>
      )}
      {all.length > 0 && shown.length === 0 && <p className="empty empty-quiet">No scheduler has this name.</p>}
      {shown.length > 0 && (
        <div className="page-body">
          <div className="table-frame">
            <table className="table">
              <thead>
                <tr>
                  <th scope="col">Scheduler</th>
                  <th scope="col">Queue</th>
                  <th scope="col">Runs</th>
                  <th scope="col">Next</th>
                  <th scope="col">Last</th>
                </tr>
              </thead>
              <tbody>
                {shown.map((item) => (
                  <SchedulerRow key={`${item.source}/${item.queue}/${item.scheduler}`} item={item} />
                ))}
              </tbody>
            </table>
          </div>
        </div>
      )}
    </div>
  );
}

function SchedulerRow({ item }: { item: SchedulerItem }): ReactNode {
  const now = useNow();
  const missed = missedOf(item);
  return (
    <tr data-row tabIndex={-1} data-bad={item.is_overdue} data-testid="scheduler-row">
      <th scope="row">
        <span className="with-badge">
          <bdi className="name">{item.scheduler}</bdi>
          {missed !== "" && (
            <span className="tag" data-tone="error">
              {missed}
            </span>
          )}
          {item.job_name !== item.scheduler && <bdi className="quiet">{item.job_name}</bdi>}
        </span>
      </th>
      <td data-name="Queue">
        <QueueName env={item.env} source={item.source} queue={item.queue} />
      </td>
      <td data-name="Runs">
        <bdi className="name">{rhythmOf(item)}</bdi>
        {item.iteration !== null && (
          <span className="quiet">
            {" "}
            run {count(item.iteration)}
            {item.max_iterations ? ` of ${count(item.max_iterations)}` : ""}
          </span>
        )}
      </td>
      <td data-name="Next">
        {item.next_run === null ? nextOf(item, now) : <When at={item.next_run}>{nextOf(item, now)}</When>}
      </td>
      <td data-name="Last">
        {item.last_run === null ? (
          <span className="quiet">not seen</span>
        ) : (
          <span className="with-badge">
            <When at={item.last_run}>{ago(now - Date.parse(item.last_run))}</When>
            {item.last_outcome && <StateBadge state={item.last_outcome} />}
            {item.last_job_id && (
              <Link {...jobPlace({ source: item.source, queue: item.queue, job_id: item.last_job_id })}>the job</Link>
            )}
          </span>
        )}
      </td>
    </tr>
  );
}
