import { useState, type ReactNode } from "react";

import { useHandling, useSilences, type Silence } from "../../api/incidents.ts";
import { useMayAct } from "../../api/me.ts";
import { count, counted } from "../../format/count.ts";
import { fullTime } from "../../format/time.ts";
import { ConfirmDialog } from "../../parts/ConfirmDialog.tsx";
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
  const [ending, setEnding] = useState<Silence | null>(null);
  const trouble = error && (
    <Trouble
      what="What is kept quiet"
      error={error}
      shownSince={silences ? dataUpdatedAt : 0}
      retry={() => void refetch()}
    />
  );
  return (
    <>
      {ending && <EndSilence silence={ending} close={() => setEnding(null)} />}
      {!silences || silences.length === 0 ? (
        trouble
      ) : (
        <div className="page-body">
          {trouble}
          <section>
            <h2 className="section-title">Kept quiet</h2>
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
                          <button type="button" className="button button-small" onClick={() => setEnding(silence)}>
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
      )}
    </>
  );
}

/** Asks before something rings again, with what it has hidden as the bot counts it just now. */
function EndSilence({ silence: shown, close }: { silence: Silence; close: () => void }): ReactNode {
  const handling = useHandling();
  const asked = useSilences();
  const isKnown = asked.isFetchedAfterMount && asked.isSuccess;
  const silence = isKnown ? asked.data.find(({ id }) => id === shown.id) : shown;
  const verb = silence && `End 1 silence that hid ${counted(silence.hidden, "failure")}`;
  return (
    <ConfirmDialog
      title={`Let it ring again: ${scopeOf(shown)}?`}
      verb={isKnown && verb ? verb : null}
      isBusy={handling.isPending}
      isDone={false}
      error={handling.error ?? (isKnown ? null : asked.error)}
      confirm={() => handling.mutate({ do: "unsilence", silenceId: shown.id }, { onSuccess: close })}
      close={close}
      tryAgain={!isKnown && asked.error ? () => void asked.refetch() : undefined}
    >
      {!isKnown && !asked.error && <p>Counting what it hid…</p>}
      {silence === undefined && <p>There is nothing to do any more: it has ended.</p>}
      {isKnown && silence && <p>What fails from now on rings, and calls who is on call.</p>}
    </ConfirmDialog>
  );
}
