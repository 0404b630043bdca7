import { useState, type ReactNode } from "react";

import { dayAndTime } from "../format/time.ts";
import type { ChartSpec } from "./spec.ts";

/** The numbers of a chart as a table, made when it is asked for; buckets in which nothing was are left out. */
export function ChartTable({ title, spec }: { title: string; spec: ChartSpec }): ReactNode {
  const [isOpen, setOpen] = useState(false);
  const indexes = spec.times
    .map((_, index) => index)
    .filter((index) => spec.series.some(({ values }) => (values[index] ?? 0) !== 0))
    .toReversed();
  return (
    <details className="chart-table" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>Table</summary>
      {isOpen && (
        // Focusable, so that the keyboard can scroll it.
        // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex
        <div className="chart-table-frame" tabIndex={0} role="region" aria-label={`${title}, as a table`}>
          <table>
            <thead>
              <tr>
                <th scope="col">From</th>
                {spec.series.map(({ name }) => (
                  <th key={name} scope="col">
                    {name}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {indexes.map((index) => (
                <tr key={spec.times[index]}>
                  <th scope="row">{dayAndTime(spec.times[index] ?? 0, spec.zone)}</th>
                  {spec.series.map(({ name, values }) => (
                    <td key={name}>{typeof values[index] === "number" ? spec.say(values[index]) : "–"}</td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </details>
  );
}
