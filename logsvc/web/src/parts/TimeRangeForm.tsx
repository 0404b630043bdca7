import { useState, type ReactNode } from "react";

import { serverNow } from "../api/clock.ts";
import { useZone } from "../shell/timeStyle.ts";
import { fieldOf, SPANS, timeOfField, type Range } from "./timeRange.ts";

/** Asks for any stretch of time, in the zone in which times are written. */
export default function TimeRangeForm({ range, choose }: { range: Range; choose: (range: Range) => void }): ReactNode {
  const zone = useZone();
  const [now] = useState(() => serverNow());
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
      <TimeField label="From" value={from} change={setFrom} />
      <TimeField label="to" value={to} change={setTo} />
      <span className="quiet">{zone === "utc" ? "UTC" : "local time"}</span>
      <button type="submit" className="button" disabled={!isPossible}>
        Show
      </button>
      {!isPossible && <span role="status">It has to begin before it ends.</span>}
    </form>
  );
}

interface TimeFieldProps {
  label: string;
  value: string;
  change: (value: string) => void;
}

function TimeField({ label, value, change }: TimeFieldProps): ReactNode {
  return (
    <label>
      {label}{" "}
      <input
        type="datetime-local"
        className="text-input"
        value={value}
        onChange={(event) => change(event.target.value)}
      />
    </label>
  );
}
