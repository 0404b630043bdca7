import type { ReactNode } from "react";

import type { Job } from "../../api/jobs.ts";
import { withoutAnsi } from "../../format/text.ts";
import { ago, duration, fullTime } from "../../format/time.ts";
import { filterToSearch, NO_FILTER } from "../../live/filter.ts";
import { ActionButton } from "../../parts/ActionButton.tsx";
import { ExportLinks } from "../../parts/ExportLinks.tsx";
import { StateBadge } from "../../parts/StateBadge.tsx";
import { Told } from "../../parts/Told.tsx";
import { TimeStyleToggle } from "../../parts/TimeStyleToggle.tsx";
import { EnvBadge } from "../../shell/EnvBadge.tsx";
import { Link } from "../../shell/Link.tsx";
import { useZone } from "../../shell/timeStyle.ts";
import { TraceLink } from "../../shell/TraceLink.tsx";
import { useNow } from "../../shell/useNow.ts";
import { errorOf, verdictOf } from "./verdict.ts";

/** Who the job is, what became of it in a sentence, and what can be done. */
export function JobHead({ job }: { job: Job }): ReactNode {
  const zone = useZone();
  const now = useNow();
  const verdict = verdictOf(job);
  const error = errorOf(job);
  const only = { source: [job.source], queue: [job.queue], job_id: [job.job_id] };
  const lines = filterToSearch({ ...NO_FILTER, ...only });
  const traceId = job.timeline.findLast((row) => row.trace_id)?.trace_id;
  return (
    <header className="job-head" data-testid="job-head" data-state={job.state}>
      <div className="job-title">
        <h1>
          <bdi>{job.job_name || "Job"}</bdi> <bdi className="job-id">#{job.job_id}</bdi>
        </h1>
        <StateBadge state={job.state} />
        <EnvBadge env={job.env} />
        <span className="page-space" />
        <TimeStyleToggle />
      </div>
      <p className="job-verdict">
        {verdict}
        <Told asOf={job.as_of} lost={job.coverage.events_lost} />
      </p>
      {error !== "" && (
        <pre className="job-error" dir="auto" data-testid="job-error">
          {withoutAnsi(error)}
        </pre>
      )}
      <dl className="job-facts">
        <Fact name="Added" value={job.added_at && fullTime(job.added_at, zone)} />
        <Fact name="Last event" value={`${fullTime(job.ts, zone)} (${ago(now - Date.parse(job.ts))})`} />
        <Fact name="Last wait" value={job.wait_ms === null ? null : duration(job.wait_ms)} />
        <Fact name="Last run" value={job.run_ms === null ? null : duration(job.run_ms)} />
        <Fact name="Worker" value={job.worker} />
        <Fact name="Source" value={job.source} />
        {job.scheduler !== "" && (
          <div>
            <dt>Scheduler</dt>
            <dd>
              <Link path="schedulers" search={`?${new URLSearchParams({ q: job.scheduler }).toString()}`}>
                <bdi>{job.scheduler}</bdi>
              </Link>
            </dd>
          </div>
        )}
        {job.fingerprint !== "" && (
          <div>
            <dt>Failure</dt>
            <dd>
              <Link path={`errors/${encodeURIComponent(job.fingerprint)}`}>All failures like this</Link>
            </dd>
          </div>
        )}
        {traceId && (
          <div>
            <dt>Trace</dt>
            <dd>
              <TraceLink traceId={traceId} />
            </dd>
          </div>
        )}
      </dl>
      <div className="job-actions">
        <JobActions job={job} />
        <Link path="logs" search={lines} className="button">
          Lines of this job
        </Link>
        <ExportLinks params={() => only} />
      </div>
      {job.is_cut && (
        <p className="note">
          This run has more rows than are shown: its events are here, and the newest lines. Export has them all.
        </p>
      )}
      {!job.enriched && (
        <p className="note">
          For some events the job was already gone from Redis when Tocsin read them, so a part of its details is not
          known. Redis may have forgotten it: then there is nothing to act on.
        </p>
      )}
    </header>
  );
}

/** What the job's state lets one do. Only its newest run is in Redis. */
function JobActions({ job }: { job: Job }): ReactNode {
  const newest = job.runs[0]?.added_at ?? null;
  if (job.runs.length > 1 && newest !== job.added_at) return null;
  const wish = { source: job.source, queue: job.queue, job_ids: [job.job_id] };
  return (
    <>
      {job.state === "failed" && (
        <ActionButton
          wish={{ ...wish, action: "retry" }}
          env={job.env}
          className={job.enriched ? "button button-go" : "button"}
        />
      )}
      {(job.state === "delayed" || job.state === "retrying") && (
        <ActionButton wish={{ ...wish, action: "promote" }} env={job.env} />
      )}
      {job.state !== "active" && job.state !== "removed" && (
        <ActionButton wish={{ ...wish, action: "remove" }} env={job.env} />
      )}
    </>
  );
}

function Fact({ name, value }: { name: string; value: string | null }): ReactNode {
  if (!value) return null;
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        <bdi>{value}</bdi>
      </dd>
    </div>
  );
}
