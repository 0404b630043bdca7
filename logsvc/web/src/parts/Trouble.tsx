import type { ReactNode } from "react";

import { ApiError } from "../api/client.ts";
import { serverAheadMs } from "../api/clock.ts";
import { ago } from "../format/time.ts";
import { useNow } from "../shell/useNow.ts";

interface TroubleProps {
  /** What could not be had: "History", "This job". */
  what: string;
  error: Error;
  /** When what is still shown was had, ms of this machine's clock; 0 = nothing is shown. */
  shownSince: number;
  retry: () => void;
}

/** Says that something could not be had, whether what is shown is old, and what happens next. */
export function Trouble({ what, error, shownSince, retry }: TroubleProps): ReactNode {
  const now = useNow();
  const isAway = error instanceof ApiError && (error.status === 503 || error.status === 0);
  return (
    <div className="banner banner-bad" role="alert" data-testid="trouble">
      <span>
        <strong>{what} cannot be had just now</strong>: {error.message}.{" "}
        {shownSince > 0 && `What you see is what was known ${ago(now - serverAheadMs() - shownSince)}. `}
        {isAway && "It comes back by itself."}
      </span>
      <button type="button" className="link-button" onClick={retry}>
        Try now
      </button>
    </div>
  );
}
