import type { ReactNode } from "react";

import { useTail, useTailView } from "../../live/TailContext.tsx";

/** Says that history cannot be had, for as long as that is so, or why it is not even asked. */
export function HistoryBanner(): ReactNode {
  const tail = useTail();
  const { history, linked } = useTailView();
  if (history.status === "refused") {
    return (
      <div className="banner banner-bad" role="alert" data-testid="history-banner">
        <span>
          <strong>Tocsin cannot answer this filter</strong>: {history.problem}.
        </span>
      </div>
    );
  }
  if (history.status !== "failed") return null;
  return (
    <div className="banner banner-bad" role="alert" data-testid="history-banner">
      <span>
        <strong>{linked === null ? "No history just now" : "The linked line cannot be shown just now"}</strong>:{" "}
        {history.problem}. Trying again by itself.
      </span>
      <button type="button" className="link-button" onClick={() => tail.retryHistory()}>
        Try now
      </button>
    </div>
  );
}
