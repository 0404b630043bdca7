import type { ReactNode } from "react";

import { serverAheadMs } from "../api/clock.ts";
import { useConnection, useTail } from "../live/TailContext.tsx";
import { connectionText } from "./connectionText.ts";
import { useNow } from "./useNow.ts";

/** Says whether what is on the page is live, and how far behind. */
export function ConnectionPill(): ReactNode {
  const tail = useTail();
  const connection = useConnection();
  const { status } = connection.state;
  const text = connectionText(connection, useNow() - serverAheadMs());
  const canRetry = status === "reconnecting" || status === "stale";
  return (
    <div className="connection" data-testid="connection" data-status={status} data-tone={text.tone} title={text.long}>
      <span className="connection-dot" />
      <span className="connection-text">
        {text.short}
        {text.lag !== "" && (
          <span className="connection-lag">
            {text.lag}
            <span className="wide-only"> behind</span>
          </span>
        )}
      </span>
      {canRetry && (
        <button type="button" className="link-button" onClick={() => tail.retryConnection()}>
          Try now
        </button>
      )}
    </div>
  );
}
