import { useMemo, type ReactNode } from "react";

import { serverAheadMs } from "../../api/clock.ts";
import { useHistogram, type Histogram } from "../../api/histogram.ts";
import { LEVELS } from "../../api/types.ts";
import type { Series, Tone } from "../../charts/spec.ts";
import { TimeChart } from "../../charts/TimeChart.tsx";
import { count, counted } from "../../format/count.ts";
import type { Filter } from "../../live/filter.ts";
import { ago } from "../../format/time.ts";
import type { Range } from "../../parts/timeRange.ts";
import { toldWords } from "../../parts/told.ts";
import { useNow } from "../../shell/useNow.ts";

interface LevelHistogramProps {
  filter: Filter;
  range: Range;
  zoom: (from: number, to: number) => void;
  zoomOut: (() => void) | undefined;
}

const HEIGHT = 84;
const TONES: Readonly<Record<string, Tone>> = { error: "error", warn: "warn", info: "info", debug: "debug" };

/** How many lines of which level there were, over the time chosen. Dragging over it shows the lines of that time. */
export function LevelHistogram({ filter, range, zoom, zoomOut }: LevelHistogramProps): ReactNode {
  const now = useNow();
  const { data, error, isPlaceholderData, dataUpdatedAt } = useHistogram(filter, range);
  const chart = useMemo(() => (data ? seriesOf(data) : null), [data]);
  // What was lost stands in the chart's own words.
  const old = error ? "" : toldWords({ asOf: data?.as_of, range, isQuiet: true }, now);
  return (
    <div className="histogram" data-testid="histogram" data-stale={isPlaceholderData}>
      {error && (
        <p className={data ? "histogram-old" : "histogram-none"} role="status">
          {data
            ? `It cannot be counted anew: ${error.message}. This is what was known ${ago(now - serverAheadMs() - dataUpdatedAt)}.`
            : `No histogram just now: ${error.message}.`}
        </p>
      )}
      {!data && !error && <p className="histogram-none">Counting…</p>}
      {old !== "" && <p className="histogram-old">{old}</p>}
      {data && chart && (
        <TimeChart
          title="Lines by level"
          kind="bars"
          times={chart.times}
          bucketMs={data.bucket_seconds * 1000}
          series={chart.series}
          markers={data.markers}
          height={HEIGHT}
          say={count}
          zoom={zoom}
          zoomOut={zoomOut}
          summary={chart.summary}
          isBare
        />
      )}
    </div>
  );
}

/** The worst at the bottom, where it can be compared. */
function seriesOf(data: Histogram): { times: number[]; series: Series[]; summary: string } {
  const totals = LEVELS.map((level) => data.items.reduce((sum, { counts }) => sum + (counts[level] ?? 0), 0));
  const lost = data.items.reduce((sum, item) => sum + item.lost, 0);
  const told = LEVELS.flatMap((level, index) => (totals[index] ? [`${count(totals[index])} ${level}`] : []));
  return {
    times: data.items.map(({ ts }) => Date.parse(ts)),
    series: LEVELS.map((level) => ({
      name: level,
      tone: TONES[level] ?? "debug",
      values: data.items.map(({ counts }) => counts[level] ?? 0),
    })),
    summary: [
      `${counted(data.total, "line")}${told.length > 0 ? `: ${told.join(", ")}` : ""}`,
      ...(lost > 0 ? [`${counted(lost, "event")} lost`] : []),
      "drag to zoom",
    ].join(" · "),
  };
}
