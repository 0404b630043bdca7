import { useState, type ReactNode } from "react";

import { useHandling, useIncidents } from "../../api/incidents.ts";
import { useMayAct } from "../../api/me.ts";
import { ActionError } from "../../parts/ActionError.tsx";
import { NOT_ALLOWED } from "../../parts/actionWords.ts";
import { Dialog } from "../../shell/Dialog.tsx";
import { useEnvs, useKnownEnvs } from "../../shell/envs.ts";
import { QuietFields, type Quiet } from "./QuietFields.tsx";
import { openWords, QUIET_TIMES } from "./words.ts";

/** A button that begins the maintenance of an environment; it ends in the list of what is kept quiet. */
export function MaintenanceButton(): ReactNode {
  const mayAct = useMayAct();
  const [isAsked, setAsked] = useState(false);
  return (
    <>
      <button
        type="button"
        className="button"
        data-testid="maintenance"
        disabled={!mayAct}
        title={mayAct === false ? NOT_ALLOWED : undefined}
        onClick={() => setAsked(true)}
      >
        Maintenance…
      </button>
      {isAsked && <MaintenanceDialog close={() => setAsked(false)} />}
    </>
  );
}

function MaintenanceDialog({ close }: { close: () => void }): ReactNode {
  const handling = useHandling();
  const known = useKnownEnvs();
  const [chosen] = useEnvs();
  const [env, setEnv] = useState(chosen ?? (known.length === 1 ? (known[0] ?? "") : ""));
  const open = useIncidents("open", env === "" ? [] : [env]);
  const [quiet, setQuiet] = useState<Quiet>({ minutes: QUIET_TIMES[0].minutes, reason: "" });
  return (
    <Dialog title="Maintenance of an environment" close={close} isBusy={handling.isPending}>
      <form
        className="dialog-body"
        onSubmit={(event) => {
          event.preventDefault();
          handling.mutate(
            { do: "maintenance", env, minutes: quiet.minutes, reason: quiet.reason.trim() },
            { onSuccess: close },
          );
        }}
      >
        <p className="quiet">
          Nothing of it rings meanwhile. Failures are counted all the same, and its end tells in the chat what was
          hidden.
        </p>
        <label className="field">
          Environment
          <select className="select" required value={env} onChange={(event) => setEnv(event.target.value)}>
            <option value="" disabled>
              Choose one
            </option>
            {known.map((name) => (
              <option key={name} value={name}>
                {name}
              </option>
            ))}
          </select>
        </label>
        <QuietFields quiet={quiet} setQuiet={setQuiet} />
        <ActionError error={handling.error ?? (open.data ? null : open.error)} />
        <div className="dialog-foot">
          <button type="button" className="button" onClick={close}>
            Cancel
          </button>
          <button type="submit" className="button button-go" disabled={env === "" || !open.data || handling.isPending}>
            {handling.isPending
              ? "Working…"
              : env === "" || !open.data
                ? "Begin"
                : `Keep ${env} quiet, with ${openWords(open.data)}`}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
