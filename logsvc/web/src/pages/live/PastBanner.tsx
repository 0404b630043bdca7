import type { ReactNode } from "react";

import { counted } from "../../format/count.ts";
import { fullTime } from "../../format/time.ts";
import { useTailPart } from "../../live/TailContext.tsx";
import type { Past } from "../../live/tailView.ts";
import { useZone } from "../../shell/timeStyle.ts";

interface PastBannerProps {
  past: Past;
  goLive: () => void;
}

/** Says that a stretch of the past is shown and not what happens now. */
export function PastBanner({ past, goLive }: PastBannerProps): ReactNode {
  const zone = useZone();
  const newCount = useTailPart((view) => view.newCount);
  return (
    <div className="banner" data-testid="past-banner">
      <span>
        From <time dateTime={new Date(past.from).toISOString()}>{fullTime(past.from, zone)}</time> to{" "}
        <time dateTime={new Date(past.to).toISOString()}>{fullTime(past.to, zone)}</time>
        {newCount > 0 && ` · ${counted(newCount, "new line")} since you opened it`}
      </span>
      <button type="button" className="link-button" onClick={goLive}>
        Go live
      </button>
    </div>
  );
}
