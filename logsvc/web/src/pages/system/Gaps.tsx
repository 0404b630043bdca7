import type { ReactNode } from "react";

import type { EnvLosses, Gap } from "../../api/system.ts";
import { count, counted } from "../../format/count.ts";
import { fullTime } from "../../format/time.ts";
import { filterToSearch, NO_FILTER } from "../../live/filter.ts";
import { QueueName } from "../../parts/QueueName.tsx";
import { inEnvs } from "../../shell/envs.ts";
import { Link } from "../../shell/Link.tsx";
import { useZone } from "../../shell/timeStyle.ts";

const AROUND_MS = 60_000;

interface GapsProps {
  /** The newest; null = not known. */
  gaps: readonly Gap[] | null;
  /** All of them, counted. */
  losses: readonly EnvLosses[];
  envs: readonly string[];
}

/** What BullMQ trimmed before it was read, with the way to the lines around it. */
export function Gaps({ gaps, losses, envs }: GapsProps): ReactNode {
  const zone = useZone();
  const all = losses.reduce((sum, one) => sum + one.gaps, 0);
  const lost = losses.reduce((sum, one) => sum + one.lost, 0);
  return (
    <section>
      <h2 className="section-title">Gaps of the last 7 days</h2>
      {gaps === null && <p className="quiet">Not known now: ClickHouse does not answer.</p>}
      {gaps?.length === 0 && (
        <p className="quiet">None{inEnvs(envs)}: every event was read before BullMQ trimmed it.</p>
      )}
      {gaps !== null && all > gaps.length && (
        <p className="quiet">
          The newest {count(gaps.length)} of {counted(all, "gap")}, in which {counted(lost, "event")} were lost.
        </p>
      )}
      {gaps !== null && gaps.length > 0 && (
        <div className="table-frame">
          <table className="table">
            <thead>
              <tr>
                <th scope="col">Queue</th>
                <th scope="col">When</th>
                <th scope="col" className="number">
                  Events lost
                </th>
                <th scope="col">
                  <span className="visually-hidden">Lines</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {gaps.map((gap) => (
                <tr key={`${gap.source}/${gap.queue}/${gap.ts}`}>
                  <th scope="row">
                    <QueueName env={gap.env} source={gap.source} queue={gap.queue} />
                  </th>
                  <td className="when">{fullTime(gap.ts, zone)}</td>
                  <td className="number" data-name="Events lost">
                    {count(gap.lost)}
                  </td>
                  <td className="number">
                    <Link path="logs" search={aroundGap(gap)}>
                      Lines around it
                    </Link>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}

function aroundGap(gap: Gap): string {
  const filter = filterToSearch({ ...NO_FILTER, source: [gap.source], queue: [gap.queue] });
  const at = Date.parse(gap.ts);
  const range = { from: new Date(at - AROUND_MS).toISOString(), to: new Date(at + AROUND_MS).toISOString() };
  return `${filter}&${new URLSearchParams(range).toString()}`;
}
