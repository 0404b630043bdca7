import { useState, type ReactNode } from "react";

import { useAudit } from "../../api/audit.ts";
import { counted } from "../../format/count.ts";
import { fullTime } from "../../format/time.ts";
import { FindBox } from "../../parts/FindBox.tsx";
import { TableExport } from "../../parts/TableExport.tsx";
import { Trouble } from "../../parts/Trouble.tsx";
import { useZone } from "../../shell/timeStyle.ts";

/** As the bot writes times into what came of something. */
const RFC_3339 = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)/gu;

/** Who did what, with which role, from where, and what came of it; the newest first. */
export function AuditTable(): ReactNode {
  const { data: entries, error, dataUpdatedAt, refetch, isPending } = useAudit(true);
  const [needle, setNeedle] = useState("");
  const zone = useZone();
  const shown = (entries ?? []).filter(({ name, user_id: id, action, target, outcome, reason }) =>
    [name, id, action, target, outcome, reason].join("\n").toLowerCase().includes(needle.toLowerCase()),
  );
  return (
    <section>
      <div className="audit-head">
        <p className="quiet">
          {entries && `The newest ${counted(entries.length, "entry", "entries")}; they are kept for a year.`}
        </p>
        <FindBox label="Find in the audit" value={needle} change={setNeedle} />
        <TableExport name="audit" rows={shown} />
      </div>
      {error && (
        <Trouble what="The audit" error={error} shownSince={entries ? dataUpdatedAt : 0} retry={() => void refetch()} />
      )}
      {isPending && <p className="quiet">Asking the bot…</p>}
      {shown.length > 0 && (
        <div className="table-frame">
          <table className="table">
            <thead>
              <tr>
                <th scope="col">Who</th>
                <th scope="col">When</th>
                <th scope="col">Did</th>
                <th scope="col">To</th>
                <th scope="col">What came of it</th>
                <th scope="col">From</th>
              </tr>
            </thead>
            <tbody>
              {shown.map((entry) => (
                <tr key={entry.id} data-row tabIndex={-1} data-testid="audit-entry">
                  <th scope="row">
                    <bdi>{entry.name || entry.user_id}</bdi> <span className="quiet">{entry.role}</span>
                  </th>
                  <td className="when">{fullTime(entry.at, zone)}</td>
                  <td data-name="Did">{entry.action}</td>
                  <td data-name="To">
                    <bdi className="name">{entry.target}</bdi>
                  </td>
                  <td data-name="Came of it">
                    <bdi>{entry.outcome.replaceAll(RFC_3339, (time) => fullTime(time, zone))}</bdi>
                    {entry.reason && <bdi className="quiet"> “{entry.reason}”</bdi>}
                  </td>
                  <td data-name="From">{entry.address || "–"}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {entries && shown.length === 0 && <p className="quiet">Nothing like that.</p>}
    </section>
  );
}
