import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState, type ReactNode } from "react";

import { act, newRequestId, type ActionResult, type ActionWish } from "../api/actions.ts";
import { useMe } from "../api/me.ts";
import { confirmationOf, outcomeOf } from "./actionWords.ts";
import { ConfirmDialog } from "./ConfirmDialog.tsx";

interface ActionDialogProps {
  wish: ActionWish;
  /** What else there is to say: "12 jobs wait now". */
  note?: string;
  close: () => void;
}

/**
 * Asks before something is done, with the exact number of jobs, as the bridge counts it just now; then says what became
 * of it. After an error the same request is sent again: nothing is done twice.
 */
export function ActionDialog({ wish, note = "", close }: ActionDialogProps): ReactNode {
  const { data: me } = useMe();
  const queries = useQueryClient();
  const [requestId] = useState(newRequestId);
  const [reason, setReason] = useState("");
  const csrfToken = me?.csrf_token ?? null;

  const planned = useQuery({
    queryKey: ["dry run", requestId],
    queryFn: () => act(wish, { requestId: `${requestId}-dry`, isDryRun: true, csrfToken }),
    enabled: me !== undefined,
    retry: false,
    staleTime: Infinity,
    gcTime: 0,
  });
  const done = useMutation({
    mutationFn: () => act({ ...wish, reason }, { requestId, isDryRun: false, csrfToken }),
    onSuccess: () => Promise.all([["audit"], ["pauses"]].map((queryKey) => queries.invalidateQueries({ queryKey }))),
  });

  const found = planned.data?.count ?? 0;
  const words = confirmationOf(wish, found);
  return (
    <ConfirmDialog
      title={words.title}
      verb={found > 0 ? words.verb : null}
      isDanger={wish.action === "remove"}
      isBusy={done.isPending}
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
