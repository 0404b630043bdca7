import { type ReactNode } from "react";

import { ApiError } from "../../api/client.ts";
import { useQueue } from "../../api/queues.ts";
import { rangeFromSearch, searchWithRange, type Range } from "../../parts/timeRange.ts";
import { TimeRangePicker } from "../../parts/TimeRangePicker.tsx";
import { TimeStyleToggle } from "../../parts/TimeStyleToggle.tsx";
import { Trouble } from "../../parts/Trouble.tsx";
import { Bell } from "../../shell/icons.tsx";
import { Link } from "../../shell/Link.tsx";
import { navigate } from "../../shell/router.ts";
import { useTitle } from "../../shell/useTitle.ts";
import { queuePlace } from "../../parts/addresses.ts";
import { Asking } from "../../parts/Asking.tsx";
import { AuditTrail } from "../../parts/AuditTrail.tsx";
import { Failing } from "./Failing.tsx";
import { QueueCharts } from "./QueueCharts.tsx";
import { QueueHead } from "./QueueHead.tsx";
import { RecentFailures } from "./RecentFailures.tsx";
import { Schedulers } from "./Schedulers.tsx";
import "./queue.css";

interface QueuePageProps {
  search: string;
  /** The names in the address: source, queue. */
  rest: readonly string[];
}

const USUAL: Range = { span: "6h" };

/** One queue: how it is, how it has been, what fails in it, and what can be done. */
export function QueuePage({ search, rest }: QueuePageProps): ReactNode {
  const [source = "", queue = ""] = rest;
  const { data, error, isPending, dataUpdatedAt, refetch } = useQueue(source, queue);
  const range = rangeFromSearch(search) ?? USUAL;
  const choose = (next: Range): void => navigate(queuePlace(source, queue).path, searchWithRange(search, next));

  useTitle(queue);

  const isUnknown = error instanceof ApiError && error.status === 404;
  return (
    <Asking>
      <div className="page queue-page">
        <nav className="crumbs" aria-label="Where this is">
          <Link path="queues">Queues</Link>
          <span>
            <bdi>{queue}</bdi>
          </span>
        </nav>
        {error && !isUnknown && (
          <Trouble what="Its counts" error={error} shownSince={data ? dataUpdatedAt : 0} retry={() => void refetch()} />
        )}
        {isPending && !error && <p className="empty empty-quiet">Counting…</p>}
        {isUnknown && !data && (
          <div className="empty" data-testid="empty">
            <Bell />
            <h2>
              No queue <bdi>{queue}</bdi> in Redis
            </h2>
            <p>
              Tocsin watches no such queue of the source {source} now. What it has kept of it stands below, if there is
              any.
            </p>
          </div>
        )}
        {data && <QueueHead queue={data} />}
        <div className="queue-range">
          <h2>Over time</h2>
          <span className="page-space" />
          <TimeStyleToggle />
          <TimeRangePicker range={range} choose={choose} />
        </div>
        <QueueCharts source={source} queue={queue} range={range} zoom={(from, to) => choose({ from, to })} />
        <div className="queue-columns">
          <Failing source={source} queue={queue} env={data?.env} range={range} />
          <RecentFailures source={source} queue={queue} />
        </div>
        <div className="queue-columns">
          <Schedulers source={source} queue={queue} />
          <AuditTrail job={{ source, queue, added_at: null }} />
        </div>
      </div>
    </Asking>
  );
}
