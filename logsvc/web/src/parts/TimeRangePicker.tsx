import type { ReactNode } from "react";

import { dayAndTime } from "../format/time.ts";
import { useZone } from "../shell/timeStyle.ts";
import { rangeWords, type Range, type SpanName } from "./timeRange.ts";

interface TimeRangePickerProps {
  range: Range;
  choose: (range: Range) => void;
  spans?: readonly SpanName[];
}

/** Charts of more than a week are too coarse to look at. */
const USUAL: readonly SpanName[] = ["1h", "6h", "24h", "7d"];

/** How far back; after a zoom also what is shown, and the way out of it. */
export function TimeRangePicker({ range, choose, spans = USUAL }: TimeRangePickerProps): ReactNode {
  const zone = useZone();
  return (
    <div className="range-picker" data-testid="range-picker">
      {"from" in range && (
        <span className="range-zoomed">
          {dayAndTime(range.from, zone)} – {dayAndTime(range.to, zone)}
        </span>
      )}
      <div className="segmented" role="group" aria-label="How far back">
        {spans.map((span) => (
          <button
            key={span}
            type="button"
            aria-pressed={"span" in range && range.span === span}
            title={rangeWords({ span })}
            onClick={() => choose({ span })}
          >
            {span}
          </button>
        ))}
      </div>
    </div>
  );
}
