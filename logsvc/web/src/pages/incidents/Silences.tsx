import type { ReactNode } from "react";

import { useHandling, useSilences } from "../../api/incidents.ts";
import { useMayAct } from "../../api/me.ts";
import { count } from "../../format/count.ts";
import { fullTime } from "../../format/time.ts";
import { ActionError } from "../../parts/ActionError.tsx";
import { Trouble } from "../../parts/Trouble.tsx";
import { useZone } from "../../shell/timeStyle.ts";
import { useNow } from "../../shell/useNow.ts";
import { left, scopeOf } from "./words.ts";

/** What does not ring now: until when, by whom and why, and the way to end it. */
export function Silences(): ReactNode {
  const zone = useZone();
  const now = useNow();
  const mayAct = useMayAct();
  const { data: silences, error, dataUpdatedAt, refetch } = useSilences();
  const handling = useHandling();
  const trouble = error && (
    <Trouble
      what="What is kept quiet"
      error={error}
      shownSince={silences ? dataUpdatedAt : 0}
      retry={() => void refetch()}
    />
  );
  if (!silences || silences.length === 0) return trouble;
  return (
    <div className="page-body">
      {trouble}
      <section>
        <h2 className="section-title">Kept quiet</h2>
        <ActionError error={handling.error} />
        <div className="table-frame">
          <table className="table">
            <thead>
              <tr>
                <th scope="col">What</th>
                <th scope="col">By</th>
                <th scope="col">Still for</th>
                <th scope="col" className="number">
                  Failures it hid
                </th>
                <th scope="col">
                  <span className="visually-hidden">Actions</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {silences.map((silence) => (
                <tr key={silence.id} data-testid="silence">
                  <th scope="row">
                    <bdi>{scopeOf(silence)}</bdi>
                    {silence.reason && <bdi className="quiet"> “{silence.reason}”</bdi>}
                  </th>
                  <td data-name="By">
                    <bdi>{silence.by}</bdi>
                  </td>
                  <td data-name="Still for" title={fullTime(silence.until, zone)}>
                    {left(silence.until, now)}
                  </td>
                  <td className="number" data-name="Hid">
                    {count(silence.hidden)}
                  </td>
                  <td className="number">
                    {mayAct && (
                      <button
                        type="button"
                        className="button button-small"
                        disabled={handling.isPending}
                        onClick={() => handling.mutate({ do: "unsilence", silenceId: silence.id })}
                      >
                        Let it ring again
                      </button>
                    )}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </section>
    </div>
  );
}
