import type { ReactNode } from "react";

import { useNewestJobs } from "../../api/jobs.ts";
import { cut, withoutAnsi } from "../../format/text.ts";
import { ago, fullTime } from "../../format/time.ts";
import { jobPlace } from "../../parts/addresses.ts";
import { Told } from "../../parts/Told.tsx";
import { Link } from "../../shell/Link.tsx";
import { useZone } from "../../shell/timeStyle.ts";
import { useNow } from "../../shell/useNow.ts";

const SHOWN = 12;
const ERROR_CHARS = 140;

/** The jobs that failed last, whether Redis still has them or not. */
export function RecentFailures({ source, queue }: { source: string; queue: string }): ReactNode {
  const { data, error, isPending } = useNewestJobs(source, queue, "failed", SHOWN);
  const now = useNow();
  const zone = useZone();
  return (
    <section className="panel" aria-label="Recent failures" data-testid="recent-failures">
      <h2>
        Recent failures
        <Told asOf={data?.as_of} isQuiet />
      </h2>
      {isPending && !error && <p className="panel-quiet">Looking…</p>}
      {error && <p className="panel-quiet">Not known just now: {error.message}.</p>}
      {data?.items.length === 0 && <p className="panel-quiet">No job of this queue has failed.</p>}
      <ul className="panel-list">
        {data?.items.map((job) => (
          <li key={`${job.job_id} ${job.added_at}`} className="recent" data-row>
            <Link {...jobPlace(job)} className="recent-job">
              <bdi>{job.job_name || "job"}</bdi> <bdi className="job-id">#{job.job_id}</bdi>
            </Link>
            <time dateTime={job.ts} title={fullTime(job.ts, zone)}>
              {ago(now - Date.parse(job.ts))}
            </time>
            <span className="recent-error">
              {cut(withoutAnsi(job.error || job.error_type || "error not known"), ERROR_CHARS)}
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}
