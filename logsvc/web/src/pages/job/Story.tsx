import { useState, type ReactNode } from "react";

import type { Job } from "../../api/jobs.ts";
import { counted } from "../../format/count.ts";
import { duration, exactTime, fullTime } from "../../format/time.ts";
import { useZone } from "../../shell/timeStyle.ts";
import { useNow } from "../../shell/useNow.ts";
import { summaryOf } from "../../parts/summary.ts";

/** A browser lays out some thousand lines well; more is for the live page and the export. */
const MOST_SHOWN = 1_000;

/** Everything that happened, in order, with the time since what came before. */
export function Story({ job }: { job: Job }): ReactNode {
  const zone = useZone();
  const now = useNow();
  const [isOpen, setOpen] = useState(false);
  const rows = job.timeline.slice(-MOST_SHOWN);
  return (
    <details className="story" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>All {counted(job.timeline.length, "event and log line", "events and log lines")}</summary>
      {rows.length < job.timeline.length && (
        <p className="attempts-note">The newest {counted(rows.length, "line")}; the export has all.</p>
      )}
      {isOpen && (
        <ol className="story-list" data-testid="job-story">
          {rows.map((row, index) => {
            const summary = summaryOf(row);
            const before = rows[index - 1];
            return (
              <li key={row.id} data-level={row.level}>
                <time dateTime={row.ts} title={fullTime(row.ts, zone)}>
                  {exactTime(row.ts, now, zone)}
                </time>
                <span className="story-since">
                  {before ? `+${duration(Math.max(0, Date.parse(row.ts) - Date.parse(before.ts)))}` : ""}
                </span>
                <span className="story-text">
                  <strong>{summary.verb || "log"}</strong> {summary.text}
                </span>
              </li>
            );
          })}
        </ol>
      )}
    </details>
  );
}
