import type { ReactNode } from "react";

import type { HistoryState } from "../../live/tailView.ts";

interface HistoryEdgeProps {
  history: HistoryState;
  isEmpty: boolean;
  /** A stretch of the past is shown: its beginning is not all of it. */
  isPast: boolean;
  retry: () => void;
}

/** What is above the oldest line. */
export function HistoryEdge({ history, isEmpty, isPast, retry }: HistoryEdgeProps): ReactNode {
  if (isEmpty || history.status !== "ready") return <div className="edge" />;
  return (
    <div className="edge" data-testid="history-edge" data-older={history.older}>
      {history.older === "more" && "Older lines load as you scroll"}
      {history.older === "loading" && "Loading older lines…"}
      {history.older === "none" &&
        (isPast ? "The beginning of the time that is shown" : "The beginning: nothing older is kept")}
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
