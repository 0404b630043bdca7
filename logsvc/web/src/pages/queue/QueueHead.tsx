import type { ReactNode } from "react";

import { serverNow } from "../../api/clock.ts";
import { pauseWords, usePauses } from "../../api/pauses.ts";
import type { QueueDetail } from "../../api/queues.ts";
import { useDurations } from "../../api/stats.ts";
import { count, counted } from "../../format/count.ts";
import { age, ago, duration } from "../../format/time.ts";
import { filterToSearch, NO_FILTER } from "../../live/filter.ts";
import { ActionButton } from "../../parts/ActionButton.tsx";
import { jobPlace } from "../../parts/addresses.ts";
import { ExportLinks } from "../../parts/ExportLinks.tsx";
import { EnvBadge } from "../../shell/EnvBadge.tsx";
import { Link } from "../../shell/Link.tsx";
import { useNow } from "../../shell/useNow.ts";
import { troubleOf } from "../../parts/queueTrouble.ts";
import type { Range } from "../../parts/timeRange.ts";

/** As the list of queues judges, whatever time is chosen. */
const LATELY: Range = { span: "1h" };

/** What a queue is just now, how old that is, and what can be done. */
export function QueueHead({ queue }: { queue: QueueDetail }): ReactNode {
  const now = useNow();
  const pauses = usePauses(queue.is_paused);
  const only = { source: [queue.source], queue: [queue.queue] };
  const wish = { source: queue.source, queue: queue.queue };
  const [lately] = useDurations(queue.source, queue.queue, LATELY).data?.queues ?? [];
  return (
    <header className="queue-head" data-testid="queue-head" data-paused={queue.is_paused}>
      <div className="job-title">
        <h1>
          <bdi>{queue.queue}</bdi>
        </h1>
        <EnvBadge env={queue.env} />
        <span className="queue-source">{queue.source}</span>
        <span className="queue-reasons">
          {troubleOf(queue, now, lately).reasons.map(({ text, isBad }) => (
            <span key={text} className="reason" data-bad={isBad}>
              {text === "paused" ? pauseWords(pauses, queue, now) : text}
            </span>
          ))}
        </span>
        <span className="page-space" />
        <span className="queue-seen">seen {ago(now - Date.parse(queue.as_of))}</span>
      </div>
      <dl className="counts" aria-label="Jobs now">
        <Count name="Waiting" value={queue.waiting} />
        {queue.prioritized > 0 && <Count name="Prioritized" value={queue.prioritized} />}
        <Count name="Active" value={queue.active} />
        <Count name="Delayed" value={queue.delayed} />
        {queue.waiting_children > 0 && <Count name="For children" value={queue.waiting_children} />}
        <Count name="Failed" value={queue.failed} isBad={queue.failed > 0} />
        <Count name="Completed" value={queue.completed} />
        <div>
          <dt>Workers</dt>
          <dd data-zero={queue.workers === null}>{queue.workers === null ? "unknown" : count(queue.workers)}</dd>
        </div>
        <div>
          <dt>Oldest waits</dt>
          <dd data-zero={queue.oldest_waiting_seconds === null}>
            {queue.oldest_waiting_seconds === null ? "–" : duration(queue.oldest_waiting_seconds * 1000)}
          </dd>
        </div>
      </dl>
      <Polled queue={queue} now={now} />
      <div className="job-actions">
        {queue.is_paused ? (
          <ActionButton wish={{ ...wish, action: "resume" }} env={queue.env} className="button button-go" />
        ) : (
          <ActionButton wish={{ ...wish, action: "pause" }} env={queue.env} />
        )}
        {queue.failed > 0 && (
          <ActionButton
            wish={() => ({ ...wish, action: "retry", filter: { to: new Date(serverNow()).toISOString() } })}
            env={queue.env}
            label={`Retry all ${count(queue.failed)} failed`}
          />
        )}
        <Link path="logs" search={filterToSearch({ ...NO_FILTER, ...only })} className="button">
          Lines of this queue
        </Link>
        <ExportLinks params={() => only} />
      </div>
    </header>
  );
}

function Count({ name, value, isBad = false }: { name: string; value: number; isBad?: boolean }): ReactNode {
  return (
    <div>
      <dt>{name}</dt>
      <dd data-zero={value === 0} data-bad={isBad} data-count={name}>
        {count(value)}
      </dd>
    </div>
  );
}

/** What else was looked at: said only where there is something to say. */
function Polled({ queue, now }: { queue: QueueDetail; now: number }): ReactNode {
  const lost = queue.coverage.events_lost ?? 0;
  const limit =
    queue.rate_limit_jobs !== null && queue.rate_limit_ms !== null
      ? `at most ${counted(queue.rate_limit_jobs, "job")} in ${duration(queue.rate_limit_ms)}`
      : "";
  const told = [
    (queue.overdue ?? 0) > 0 && `${counted(queue.overdue ?? 0, "delayed job")} overdue: no worker moves them on.`,
    queue.is_rate_limited === true && "Its rate limit holds jobs back just now.",
    limit !== "" && `Limited to ${limit}.`,
    queue.concurrency !== null && `At most ${counted(queue.concurrency, "job")} at once.`,
    lost > 0 && `${counted(lost, "event")} were trimmed from Redis before Tocsin could read them.`,
    queue.last_event_at !== null && `Last event ${ago(now - Date.parse(queue.last_event_at))}.`,
    queue.bullmq_version !== "" && `BullMQ ${queue.bullmq_version.replace(/^bullmq:/u, "")}.`,
  ].filter((text): text is string => typeof text === "string");
  const { longest_active_id: id, longest_active_seconds: seconds } = queue;
  return (
    <p className="queue-polled">
      {id !== "" && seconds !== null && (
        <span data-bad={queue.is_longest_active_locked === false}>
          Longest running:{" "}
          <Link {...jobPlace({ source: queue.source, queue: queue.queue, job_id: id })}>
            <bdi>
              {queue.longest_active_name} #{id}
            </bdi>
          </Link>
          , {age(seconds * 1000)}
          {queue.is_longest_active_locked === false && ", its lock is gone: its worker is dead or too busy"}.{" "}
        </span>
      )}
      {told.join(" ")}
    </p>
  );
}
