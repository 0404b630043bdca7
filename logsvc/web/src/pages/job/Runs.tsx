import type { ReactNode } from "react";

import type { Job } from "../../api/jobs.ts";
import { fullTime } from "../../format/time.ts";
import { jobPlace } from "../../parts/addresses.ts";
import { StateBadge } from "../../parts/StateBadge.tsx";
import { Link } from "../../shell/Link.tsx";
import { useZone } from "../../shell/timeStyle.ts";

/** The lives of a job id that was used again: numeric ids begin anew after a queue was obliterated. */
export function Runs({ job, addedAt }: { job: Job; addedAt: string }): ReactNode {
  const zone = useZone();
  if (job.runs.length < 2) return null;
  const isOld = job.runs[0]?.added_at !== job.added_at;
  return (
    <nav className="runs" aria-label="Runs of this id" data-testid="job-runs">
      <p>
        {isOld ? <strong>This is an earlier job of this id. </strong> : null}
        The id {job.job_id} was used {job.runs.length} times:
      </p>
      <ul>
        {job.runs.map((run) => (
          <li key={run.added_at ?? run.first_ts}>
            <Link
              {...jobPlace(job, run.added_at ?? "")}
              isCurrent={run.added_at === job.added_at && (addedAt !== "" || !isOld)}
              className="run"
            >
              {run.added_at ? `added ${fullTime(run.added_at, zone)}` : "added before Tocsin looked"}{" "}
              <StateBadge state={run.state} />
            </Link>
          </li>
        ))}
      </ul>
    </nav>
  );
}
