import { useMutation, useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";

import { replay, type ReplayResult } from "../../api/deadLetters.ts";
import { counted } from "../../format/count.ts";
import { ConfirmDialog } from "../../parts/ConfirmDialog.tsx";
import { useRequest } from "../../parts/useRequest.ts";
import { reasonsOf, replayWords } from "./replayWords.ts";

/** Asks before dead letters are stored after all, with the number that would be, as logsvc finds it just now. */
export function ReplayDialog({ ids, close }: { ids: readonly string[]; close: () => void }): ReactNode {
  const request = useRequest();
  const planned = useQuery(request.dryRun((asking) => replay(ids, asking)));
  const done = useMutation({ mutationFn: () => request.send((asking) => replay(ids, asking)) });
  const found = planned.data?.count ?? 0;
  return (
    <ConfirmDialog
      title={found > 0 && !done.data ? `Store ${counted(found, "record")}?` : "Replay dead letters"}
      verb={found > 0 ? `Store ${counted(found, "record")}` : null}
      isBusy={done.isPending}
      progress={request.progress[""]}
      isDone={done.data !== undefined}
      error={done.error ?? planned.error}
      confirm={() => done.mutate()}
      close={close}
      tryAgain={planned.error ? () => void planned.refetch() : undefined}
      testId="replay-dialog"
    >
      {planned.isPending && <p>Looking what could be stored now…</p>}
      {planned.data && !done.data && (
        <>
          <p>
            {found > 0
              ? "What is stored goes into history at its own time, once. The dead letters stay, as the record of what was."
              : "None of them can be stored now."}
          </p>
          <Outcomes result={planned.data} />
        </>
      )}
      {done.data && (
        <>
          <Outcomes result={done.data} />
          <p className="quiet">It stands in the audit.</p>
        </>
      )}
    </ConfirmDialog>
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
