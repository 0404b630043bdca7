import type { ReactNode } from "react";

import { QUIET_TIMES } from "./words.ts";

/** For how long something is kept quiet, and why. */
export interface Quiet {
  minutes: number;
  reason: string;
}

/** Asks for how long something is to be kept quiet, and why. */
export function QuietFields({ quiet, setQuiet }: { quiet: Quiet; setQuiet: (quiet: Quiet) => void }): ReactNode {
  return (
    <>
      <label className="field">
        For how long
        <select
          className="select"
          value={quiet.minutes}
          onChange={(event) => setQuiet({ ...quiet, minutes: Number(event.target.value) })}
        >
          {QUIET_TIMES.map(({ minutes, name }) => (
            <option key={minutes} value={minutes}>
              {name}
            </option>
          ))}
        </select>
      </label>
      <label className="field">
        Why (others see it)
        <input
          type="text"
          className="text-input"
          maxLength={500}
          value={quiet.reason}
          onChange={(event) => setQuiet({ ...quiet, reason: event.target.value })}
        />
      </label>
    </>
  );
}
