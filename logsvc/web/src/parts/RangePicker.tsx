import type { ReactNode } from "react";

import { navigate } from "../shell/router.ts";
import { RANGE_NAMES, RANGE_WORDS, searchWith, type RangeName } from "./range.ts";

/** How far back the page looks; kept in its address. */
export function RangePicker({ path, search, range }: { path: string; search: string; range: RangeName }): ReactNode {
  return (
    <div className="segmented" role="group" aria-label="Time">
      {RANGE_NAMES.map((name) => (
        <button
          key={name}
          type="button"
          className="range"
          aria-pressed={name === range}
          title={RANGE_WORDS[name]}
          onClick={() => navigate(path, searchWith(search, "since", name), { replace: true })}
        >
          {name.replace(/(\d+)/u, "$1 ")}
        </button>
      ))}
    </div>
  );
}
