import { useState, type ReactNode } from "react";

import { useHandling, useIncident, type Handling, type Incident } from "../../api/incidents.ts";
import { ConfirmDialog } from "../../parts/ConfirmDialog.tsx";
import { useNow } from "../../shell/useNow.ts";
import { QuietFields, type Quiet } from "./QuietFields.tsx";
import { QUIET_TIMES, questionOf, tooLate, type Deed } from "./words.ts";

interface HandlingDialogProps {
  deed: Deed;
  /** As it was shown; what is asked, and done, is about it as it is now. */
  incident: Incident;
  close: () => void;
}

/** Asks before an incident is taken, given back, kept quiet or ended, with its failures as the bot counts them just now. */
export function HandlingDialog({ deed, incident: shown, close }: HandlingDialogProps): ReactNode {
  const now = useNow();
  const handling = useHandling();
  const asked = useIncident(String(shown.id));
  const [quiet, setQuiet] = useState<Quiet>({ minutes: QUIET_TIMES[1].minutes, reason: "" });
  const incident = asked.data ?? shown;
  const isKnown = asked.isFetchedAfterMount && asked.data !== undefined;
  const late = isKnown && handling.isIdle ? tooLate(deed, incident, now) : "";
  const quietFor = QUIET_TIMES.find((each) => each.minutes === quiet.minutes)?.name ?? "";
  const question = questionOf(deed, incident, quietFor);
  const wish: Handling =
    deed === "silence"
      ? { do: deed, incident, minutes: quiet.minutes, reason: quiet.reason.trim() }
      : { do: deed, id: incident.id, episode: incident.episode };
  return (
    <ConfirmDialog
      title={question.title}
      where={incident}
      verb={isKnown && late === "" ? question.verb : null}
      isBusy={handling.isPending}
      isDone={false}
      error={handling.error ?? (isKnown ? null : asked.error)}
      confirm={() => handling.mutate(wish, { onSuccess: close })}
      close={close}
      tryAgain={!isKnown && asked.error ? () => void asked.refetch() : undefined}
    >
      {!isKnown && !asked.error && <p>Counting what it is about…</p>}
      {late !== "" && <p>{late}</p>}
      {isKnown && late === "" && <p>{question.consequence}</p>}
      {isKnown && late === "" && deed === "silence" && <QuietFields quiet={quiet} setQuiet={setQuiet} />}
    </ConfirmDialog>
  );
}
