import type { ReactNode } from "react";

import type { Params } from "../../api/client.ts";
import { ExportLinks } from "../../parts/ExportLinks.tsx";
import type { Range } from "../../parts/timeRange.ts";
import { TimeRangePicker } from "../../parts/TimeRangePicker.tsx";
import { TimeStyleToggle } from "../../parts/TimeStyleToggle.tsx";
import type { ViewOptions } from "./viewOptions.ts";

interface ToolsProps {
  range: Range;
  setRange: (range: Range) => void;
  options: ViewOptions;
  choose: (change: Partial<ViewOptions>) => void;
  /** The filter and the time of what is shown, as the API's parameters. */
  exported: () => Params;
}

/** How the lines are shown: how far back, how times are written, and the way to a file. */
export function Tools({ range, setRange, options, choose, exported }: ToolsProps): ReactNode {
  return (
    <div className="tools" role="group" aria-label="View">
      <TimeRangePicker range={range} choose={setRange} />
      <TimeStyleToggle withRelative />
      <button
        type="button"
        className="button tool"
        aria-pressed={options.hasHistogram}
        data-testid="toggle-histogram"
        onClick={() => choose({ hasHistogram: !options.hasHistogram })}
      >
        Histogram
      </button>
      <button
        type="button"
        className="button tool"
        aria-pressed={options.isWrapped}
        data-testid="toggle-wrap"
        title="Show long lines whole"
        onClick={() => choose({ isWrapped: !options.isWrapped })}
      >
        Wrap
      </button>
      <span className="page-space" />
      <ExportLinks params={exported} />
    </div>
  );
}
