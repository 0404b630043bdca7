import type { ReactNode } from "react";

import { chooseTimeStyle, useTimeStyle, type TimeStyle } from "../shell/timeStyle.ts";

const NAMES: Readonly<Record<TimeStyle, string>> = { local: "Local", utc: "UTC", relative: "Ago" };

/** How times are written, on every page. Relative times are for lists. */
export function TimeStyleToggle({ withRelative = false }: { withRelative?: boolean }): ReactNode {
  const style = useTimeStyle();
  const offered: readonly TimeStyle[] = withRelative ? ["local", "utc", "relative"] : ["local", "utc"];
  const chosen = offered.includes(style) ? style : "local";
  return (
    <div className="segmented time-style" role="group" aria-label="Times" data-testid="time-style">
      {offered.map((each) => (
        <button key={each} type="button" aria-pressed={each === chosen} onClick={() => chooseTimeStyle(each)}>
          {NAMES[each]}
        </button>
      ))}
    </div>
  );
}
