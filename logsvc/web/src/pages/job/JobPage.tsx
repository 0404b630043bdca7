import { type ReactNode } from "react";

import { isMissing, useJob, type Job, type JobName } from "../../api/jobs.ts";
import { jobPlace, queuePlace } from "../../parts/addresses.ts";
import { Asking } from "../../parts/Asking.tsx";
import { JsonBlock } from "../../parts/JsonBlock.tsx";
import { Trouble } from "../../parts/Trouble.tsx";
import { Bell } from "../../shell/icons.tsx";
import { Link } from "../../shell/Link.tsx";
import { useTitle } from "../../shell/useTitle.ts";
import { Attempts } from "./Attempts.tsx";
import { AuditTrail } from "../../parts/AuditTrail.tsx";
import { Family } from "./Family.tsx";
import { JobHead } from "./JobHead.tsx";
import { Runs } from "./Runs.tsx";
import { Story } from "./Story.tsx";
import { Timeline } from "./Timeline.tsx";
import "./job.css";

interface JobPageProps {
  search: string;
  /** The names in the address: source, queue, job id. */
  rest: readonly string[];
}

/** One job: what became of it, every attempt with its own error, and all that is known beside. */
export function JobPage({ search, rest }: JobPageProps): ReactNode {
  const [source = "", queue = "", job_id = ""] = rest;
  const name: JobName = { source, queue, job_id };
  const addedAt = new URLSearchParams(search).get("added_at") ?? "";
  const { data: job, error, isPending, dataUpdatedAt, refetch } = useJob(name, addedAt);

  const title = job?.job_name || `Job ${job_id}`;
  useTitle(`${title} #${job_id}`);

  return (
    <div className="page job">
      <nav className="crumbs" aria-label="Where this is">
        <Link path="queues">Queues</Link>
        <Link {...queuePlace(source, queue)}>
          <bdi>{queue}</bdi>
        </Link>
        <span>
          <bdi>#{job_id}</bdi>
        </span>
      </nav>
      {error && !isMissing(error) && (
        <Trouble
          what={job ? "News of this job" : "This job"}
          error={error}
          shownSince={job ? dataUpdatedAt : 0}
          retry={() => void refetch()}
        />
      )}
      {isPending && !error && <p className="empty empty-quiet">Reading its history…</p>}
      {isMissing(error) && !job && <Missing name={name} addedAt={addedAt} />}
      {job && (
        <Asking>
          <JobBody job={job} addedAt={addedAt} />
        </Asking>
      )}
    </div>
  );
}

function JobBody({ job, addedAt }: { job: Job; addedAt: string }): ReactNode {
  return (
    <>
      <Runs job={job} addedAt={addedAt} />
      <JobHead job={job} />
      <Timeline job={job} />
      <div className="job-columns">
        <div className="job-main">
          <Attempts job={job} />
          <Story job={job} />
        </div>
        <div className="job-side">
          {job.data !== "" && <JsonBlock title="Data" text={job.data} canCopy />}
          {job.result !== "" && <JsonBlock title="Result" text={job.result} canCopy />}
          {job.progress !== "" && <JsonBlock title="Progress" text={job.progress} canCopy />}
          {job.data === "" && job.result === "" && job.progress === "" && (
            <p className="note">
              Neither data nor result is known: they were gone from Redis before Tocsin could read them.
            </p>
          )}
          <Family job={job} />
          <AuditTrail job={job} />
        </div>
      </div>
    </>
  );
}

function Missing({ name, addedAt }: { name: JobName; addedAt: string }): ReactNode {
  return (
    <div className="empty" data-testid="empty">
      <Bell />
      <h2>No such {addedAt === "" ? "job" : "run"} in history</h2>
      <p>
        Nothing is kept of job <code>{name.job_id}</code> of <code>{name.queue}</code>
        {addedAt === "" ? "" : " that was added then"}. It may be older than the days Tocsin keeps, or it was only just
        added: then it shows here in a moment.
      </p>
      {addedAt !== "" && <Link {...jobPlace(name)}>The newest run of this id</Link>}
      <Link {...queuePlace(name.source, name.queue)}>Jobs of this queue</Link>
    </div>
  );
}
