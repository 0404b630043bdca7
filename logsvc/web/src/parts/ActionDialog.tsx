import { useMutation, useQuery } from "@tanstack/react-query";
import { useState, type ReactNode } from "react";

import { act, type ActionResult, type ActionWish } from "../api/actions.ts";
import { confirmationOf, outcomeOf } from "./actionWords.ts";
import { ConfirmDialog } from "./ConfirmDialog.tsx";
import { useRequest } from "./useRequest.ts";

/** An action that somebody wants. */
export interface AskedAction {
  wish: ActionWish;
  env: string | undefined;
  /** What else there is to say: "12 jobs wait now"; may be empty. */
  note: string;
}

/**
 * Asks before something is done, with the exact number of jobs, as the bridge counts it just now; then says what became
 * of it.
 */
export function ActionDialog({ asked, close }: { asked: AskedAction; close: () => void }): ReactNode {
  const { wish, env, note } = asked;
  const request = useRequest();
  const [reason, setReason] = useState("");
  const planned = useQuery(request.dryRun((asking) => act(wish, asking)));
  const done = useMutation({ mutationFn: () => request.send((asking) => act({ ...wish, reason }, asking)) });

  const found = planned.data?.count ?? 0;
  const words = confirmationOf(wish, planned.data ?? null);
  return (
    <ConfirmDialog
      title={words.title}
      where={{ env, source: wish.source }}
      verb={found > 0 ? words.verb : null}
      isDanger={wish.action === "remove"}
      isBusy={done.isPending}
      progress={request.progress[""]}
      isDone={done.data !== undefined}
      error={done.error ?? planned.error}
      confirm={() => done.mutate()}
      close={close}
      tryAgain={planned.error ? () => void planned.refetch() : undefined}
    >
      {planned.isPending && <p>Counting what that would be…</p>}
      {planned.data && !done.data && found > 0 && (
        <>
          <p>{words.consequence}</p>
          {note !== "" && <p>{note}</p>}
          {wish.action === "pause" && (
            <label className="field">
              Why (others see it)
              <input
                type="text"
                className="text-input"
                maxLength={500}
                value={reason}
                disabled={!done.isIdle}
                onChange={(event) => setReason(event.target.value)}
              />
            </label>
          )}
        </>
      )}
      {planned.data && found === 0 && <p>{nothingToDo(planned.data, wish)}</p>}
      {done.data && (
        <p className="action-done">
          {outcomeOf(wish.action, done.data)}. It stands in the audit.
          <Troubles result={done.data} />
        </p>
      )}
    </ConfirmDialog>
  );
}

function nothingToDo(planned: ActionResult, wish: ActionWish): string {
  const why = outcomeOf(wish.action, planned);
  return planned.results.length > 0 ? `There is nothing to do: ${why}.` : "There is nothing to do any more.";
}

const TOLD = 5;

function Troubles({ result }: { result: ActionResult }): ReactNode {
  const troubles = result.results.filter(({ outcome, message }) => outcome !== "done" && message);
  return troubles.slice(0, TOLD).map(({ job_id, message }) => (
    <span key={job_id} className="action-trouble">
      <bdi>{job_id}</bdi>: {message}
    </span>
  ));
}
