import type { ReactNode } from "react";

import type { Row } from "../../api/types.ts";
import { ago, duration, fullTime } from "../../format/time.ts";
import { FactList, type NamedFact } from "../../parts/FactList.tsx";
import { TraceLink } from "../../shell/TraceLink.tsx";
import { useZone } from "../../shell/timeStyle.ts";
import { useNow } from "../../shell/useNow.ts";

/** The facts of a line as a list of names and values; those it does not have are left out. */
export function DetailFacts({ row }: { row: Row }): ReactNode {
  const now = useNow();
  const zone = useZone();
  const isLocalUtc = new Date(row.ts).getTimezoneOffset() === 0;
  const facts: readonly NamedFact[] = [
    ["Time", `${fullTime(row.ts, zone)} · ${ago(now - Date.parse(row.ts))}`],
    ["UTC", isLocalUtc || zone === "utc" ? "" : row.ts],
    ["Queue", row.queue],
    ["Job", row.job_id],
    ["Service", row.service],
    ["Source", [row.source, row.env].filter(Boolean).join(" · ")],
    ["State", row.state && (row.prev ? `${row.prev} → ${row.state}` : row.state)],
    ["Attempt", row.attempt ? `${row.attempt}${row.max_attempts ? ` of ${row.max_attempts}` : ""}` : ""],
    ["Waited", typeof row.wait_ms === "number" && duration(row.wait_ms)],
    ["Ran", typeof row.run_ms === "number" && duration(row.run_ms)],
    ["Next try", row.delay_until && fullTime(row.delay_until, zone)],
    ["Started", row.started_at && fullTime(row.started_at, zone)],
    ["Added", row.added_at && fullTime(row.added_at, zone)],
    ["Worker", row.worker],
    ["Parent", row.parent],
    ["Scheduler", row.scheduler],
    ["Trace", row.trace_id && <TraceLink key="trace" traceId={row.trace_id} />],
    ["Fingerprint", row.fingerprint],
  ];
  return (
    <>
      <FactList facts={facts} isMono />
      <Notes row={row} />
    </>
  );
}

function Notes({ row }: { row: Row }): ReactNode {
  const notes = [
    row.backfill && "This happened before Tocsin first looked at the queue; it rang no alarm.",
    row.rebuilt && "The event itself was trimmed from Redis; this is rebuilt from what the job still held.",
    row.enriched === false &&
      row.kind === "event" &&
      row.job_id &&
      "The job was already gone from Redis when Tocsin read this, so its details are not known.",
  ].filter((note) => typeof note === "string" && note !== "");
  return notes.map((note) => (
    <p key={String(note)} className="note">
      {note}
    </p>
  ));
}
