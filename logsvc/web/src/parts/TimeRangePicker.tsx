import type { ReactNode } from "react";

import { dayAndTime } from "../format/time.ts";
import { useZone } from "../shell/timeStyle.ts";
import { SPANS, type Range, type SpanName } from "./timeRange.ts";

interface TimeRangePickerProps {
  range: Range;
  choose: (range: Range) => void;
}

const SPAN_NAMES = Object.keys(SPANS) as SpanName[];

/** How far back; after a zoom also what is shown, and the way out of it. */
export function TimeRangePicker({ range, choose }: TimeRangePickerProps): ReactNode {
  const zone = useZone();
  return (
    <div className="range-picker" data-testid="range-picker">
      {"from" in range && (
        <span className="range-zoomed">
          {dayAndTime(range.from, zone)} – {dayAndTime(range.to, zone)}
        </span>
      )}
      <div className="segmented" role="group" aria-label="How far back">
        {SPAN_NAMES.map((span) => (
          <button
            key={span}
            type="button"
            aria-pressed={"span" in range && range.span === span}
            onClick={() => choose({ span })}
          >
            {span}
          </button>
        ))}
      </div>
    </div>
  );
}
