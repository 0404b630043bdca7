import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState, type ReactNode } from "react";

import { newRequestId } from "../../api/actions.ts";
import { ApiError } from "../../api/client.ts";
import { replay, type ReplayResult } from "../../api/deadLetters.ts";
import { useMe } from "../../api/me.ts";
import { counted } from "../../format/count.ts";
import { Dialog } from "../../shell/Dialog.tsx";
import { reasonsOf, replayWords } from "./replayWords.ts";

/**
 * Asks before dead letters are stored after all, with the number that would be, as logsvc finds it just now. Sent again
 * after an error, nothing is stored twice.
 */
export function ReplayDialog({ ids, close }: { ids: readonly string[]; close: () => void }): ReactNode {
  const { data: me } = useMe();
  const queries = useQueryClient();
  const [requestId] = useState(newRequestId);
  const csrfToken = me?.csrf_token ?? null;
  const planned = useQuery({
    queryKey: ["dry run", requestId],
    queryFn: () => replay(ids, { requestId: `${requestId}-dry`, isDryRun: true, csrfToken }),
    enabled: me !== undefined,
    retry: false,
    staleTime: Infinity,
    gcTime: 0,
  });
  const done = useMutation({
    mutationFn: () => replay(ids, { requestId, isDryRun: false, csrfToken }),
    onSuccess: () => void queries.invalidateQueries({ queryKey: ["audit"] }),
  });
  const found = planned.data?.count ?? 0;
  const error = done.error ?? planned.error;
  const title = planned.data && !done.data && found > 0 ? `Store ${counted(found, "record")}?` : "Replay dead letters";
  return (
    <Dialog title={title} close={close} isBusy={done.isPending}>
      <div className="dialog-body" data-testid="replay-dialog">
        <div role="status">
          {planned.isPending && <p>Looking what could be stored now…</p>}
          {planned.data && !done.data && (
            <p>
              {found > 0
                ? "What is stored goes into history at its own time, once. The dead letters stay, as the record of what was."
                : "None of them can be stored now."}
            </p>
          )}
          {planned.data && !done.data && <Outcomes result={planned.data} />}
          {done.data && <Outcomes result={done.data} />}
          {done.data && <p className="quiet">It stands in the audit.</p>}
          {error && (
            <p className="action-error" role="alert">
              {error.message}.{error instanceof ApiError && error.mend !== "" && ` ${error.mend}.`}
            </p>
          )}
        </div>
        <div className="dialog-foot">
          <button type="button" className="button" onClick={close}>
            {done.data ? "Done" : "Cancel"}
          </button>
          {!done.data && found > 0 && (
            <button
              type="button"
              className="button button-go"
              data-testid="replay-confirm"
              disabled={done.isPending}
              onClick={() => done.mutate()}
            >
              {done.isPending ? "Working…" : done.error ? "Send it again" : `Store ${counted(found, "record")}`}
            </button>
          )}
        </div>
      </div>
    </Dialog>
  );
}

function Outcomes({ result }: { result: ReplayResult }): ReactNode {
  return (
    <ul>
      {replayWords(result).map((words) => (
        <li key={words}>{words}</li>
      ))}
      {reasonsOf(result).map((reason) => (
        <li key={reason} className="quiet">
          {reason}
        </li>
      ))}
    </ul>
  );
}
