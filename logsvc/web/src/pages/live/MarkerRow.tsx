import type { ReactNode, Ref } from "react";

import { counted } from "../../format/count.ts";
import type { Marker } from "../../live/entries.ts";

interface MarkerRowProps {
  ref: Ref<HTMLDivElement> | undefined;
  marker: Marker;
  /** Place in the list, from 0. */
  index: number;
  fill: (markerId: string) => void;
}

/** Says inside the stream that lines are missing, and offers to load them. */
export function MarkerRow({ ref, marker, index, fill }: MarkerRowProps): ReactNode {
  return (
    <div
      className="line-marker"
      role="row"
      ref={ref}
      data-index={index}
      aria-rowindex={index + 2}
      data-testid="live-marker"
      data-reason={marker.reason}
    >
      <span role="gridcell">{sentenceOf(marker)}</span>
      <span role="gridcell">
        {marker.fill === "loading" ? (
          "Loading…"
        ) : (
          <button type="button" className="link-button" onClick={() => fill(marker.id)}>
            {marker.fill === "failed" ? "Could not load; try again" : "Load from history"}
          </button>
        )}
      </span>
    </div>
  );
}

function sentenceOf(marker: Marker): string {
  if (marker.fill === "partly") return "More lines are missing here";
  const lines = marker.count === null ? "Lines" : counted(marker.count, "line");
  switch (marker.reason) {
    case "skipped":
      return `${lines} skipped here: they came faster than this page could take them`;
    case "unheld":
      return `${lines} skipped here while the view was held and its memory was full`;
    case "gap":
      return marker.count === null
        ? "Lines may be missing here: the connection was away for too long"
        : `${lines} missing here: the connection was away for too long`;
    case "seam":
      return "Lines may be missing here: they came while the page was opening";
    case "cut":
      return "Lines are missing here: there are more than this page loads at once";
  }
}
