import { useState, type ReactNode } from "react";

import { useZone } from "../shell/timeStyle.ts";
import { fieldOf, SPANS, timeOfField, type Range } from "./timeRange.ts";

/** Asks for any stretch of time, in the zone in which times are written. */
export default function TimeRangeForm({ range, choose }: { range: Range; choose: (range: Range) => void }): ReactNode {
  const zone = useZone();
  const [now] = useState(() => Date.now());
  const shown = "from" in range ? range : { from: now - SPANS[range.span], to: now };
  const [from, setFrom] = useState(() => fieldOf(shown.from, zone));
  const [to, setTo] = useState(() => fieldOf(shown.to, zone));
  const wanted = { from: timeOfField(from, zone), to: timeOfField(to, zone) };
  const isPossible = wanted.from < wanted.to;
  return (
    <form
      className="range-form"
      onSubmit={(event) => {
        event.preventDefault();
        if (isPossible) choose(wanted);
      }}
    >
      <label>
        From{" "}
        <input
          type="datetime-local"
          className="text-input"
          value={from}
          onChange={(event) => setFrom(event.target.value)}
        />
      </label>
      <label>
        to{" "}
        <input
          type="datetime-local"
          className="text-input"
          value={to}
          onChange={(event) => setTo(event.target.value)}
        />
      </label>
      <span className="quiet">{zone === "utc" ? "UTC" : "local time"}</span>
      <button type="submit" className="button" disabled={!isPossible}>
        Show
      </button>
      {!isPossible && <span role="status">It has to begin before it ends.</span>}
    </form>
  );
}
