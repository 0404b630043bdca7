import { lazy, Suspense, useState, type ReactNode } from "react";

import { dayAndTime } from "../format/time.ts";
import { useZone } from "../shell/timeStyle.ts";
import { rangeWords, type Range, type SpanName } from "./timeRange.ts";

const TimeRangeForm = lazy(() => import("./TimeRangeForm.tsx"));

interface TimeRangePickerProps {
  range: Range;
  choose: (range: Range) => void;
  spans?: readonly SpanName[];
}

/** Charts of more than a week are too coarse to look at. */
const USUAL: readonly SpanName[] = ["1h", "6h", "24h", "7d"];

/** How far back, or from when to when; after a zoom also what is shown, and the way out of it. */
export function TimeRangePicker({ range, choose, spans = USUAL }: TimeRangePickerProps): ReactNode {
  const zone = useZone();
  const [isAsked, setAsked] = useState(false);
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
        <button
          type="button"
          aria-expanded={isAsked}
          title="Any time, from when to when"
          data-testid="range-any"
          onClick={() => setAsked(!isAsked)}
        >
          From…
        </button>
      </div>
      {isAsked && (
        <Suspense>
          <TimeRangeForm
            key={zone}
            range={range}
            choose={(next) => {
              setAsked(false);
              choose(next);
            }}
          />
        </Suspense>
      )}
    </div>
  );
}
