import type { ReactNode } from "react";

import type { HistoryState } from "../../live/tail.ts";

interface HistoryEdgeProps {
  history: HistoryState;
  isEmpty: boolean;
  retry: () => void;
}

/** What is above the oldest line. */
export function HistoryEdge({ history, isEmpty, retry }: HistoryEdgeProps): ReactNode {
  if (isEmpty || history.status !== "ready") return <div className="edge" />;
  return (
    <div className="edge" data-testid="history-edge" data-older={history.older}>
      {history.older === "more" && "Older lines load as you scroll"}
      {history.older === "loading" && "Loading older lines…"}
      {history.older === "none" && "The beginning: nothing older is kept"}
      {history.older === "full" && "This page holds no more lines; narrow the filter to see older ones"}
      {history.older === "failed" && (
        <>
          Older lines could not be loaded.{" "}
          <button type="button" className="link-button" onClick={retry}>
            Try again
          </button>
        </>
      )}
    </div>
  );
}
