import type { ReactNode } from "react";

import { counted } from "../../format/count.ts";
import { fullTime } from "../../format/time.ts";
import { useTail, useTailPart } from "../../live/TailContext.tsx";
import type { LinkedLine } from "../../live/tailView.ts";
import { useZone } from "../../shell/timeStyle.ts";

interface LinkedBannerProps {
  linked: LinkedLine;
  goLive: () => void;
}

/** Says that a linked line is shown and not what happens now. */
export function LinkedBanner({ linked, goLive }: LinkedBannerProps): ReactNode {
  const tail = useTail();
  const zone = useZone();
  const newCount = useTailPart((view) => view.newCount);
  // The lines around it are here, but it is not.
  const isMissing = useTailPart(
    ({ history, count }) => history.status === "ready" && count > 0 && !tail.placeOfLinked().isHere,
  );
  return (
    <div className="banner">
      <span>
        {isMissing ? "The linked line was not found. These are the lines around " : "Around the linked line of "}
        <time dateTime={linked.ts}>{fullTime(linked.ts, zone)}</time>
        {newCount > 0 && ` · ${counted(newCount, "new line")} since you opened it`}
      </span>
      <button type="button" className="link-button" onClick={goLive}>
        Go live
      </button>
    </div>
  );
}
