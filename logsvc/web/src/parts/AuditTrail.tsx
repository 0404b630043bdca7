import type { ReactNode } from "react";

import { useAudit } from "../api/audit.ts";
import type { Job } from "../api/jobs.ts";
import { useMe } from "../api/me.ts";
import { fullTime } from "../format/time.ts";
import { useZone } from "../shell/timeStyle.ts";

/** What people did to this job's queue since the job was added: an action names its queue. For admins, who may read it. */
export function AuditTrail({ job }: { job: Pick<Job, "source" | "queue" | "added_at"> }): ReactNode {
  const { data: me } = useMe();
  const zone = useZone();
  const isAdmin = me?.role === "admin";
  const { data, error } = useAudit(isAdmin, `${job.source}/${job.queue}`);
  if (!isAdmin) return null;
  const since = job.added_at === null ? 0 : Date.parse(job.added_at);
  const mine = data?.filter(({ at }) => Date.parse(at) >= since);
  if (!mine?.length && !error) return null;
  return (
    <section className="audit" aria-label="Who did what" data-testid="audit">
      <h3>Who did what to {job.queue}</h3>
      {error && <p className="quiet">The audit cannot be read just now: {error.message}.</p>}
      <ol>
        {mine?.map((entry) => (
          <li key={entry.id}>
            <strong>
              {entry.name || entry.user_id} · {entry.action}
            </strong>
            <span>
              {entry.outcome || "under way"}
              {entry.reason && <bdi className="quiet"> “{entry.reason}”</bdi>}
            </span>
            <time dateTime={entry.at}>{fullTime(entry.at, zone)}</time>
          </li>
        ))}
      </ol>
    </section>
  );
}
