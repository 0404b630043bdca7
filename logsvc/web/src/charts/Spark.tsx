import type { ReactNode } from "react";

import "./spark.css";

const WIDTH = 96;
const HEIGHT = 22;
/** As many parts of time as the server tells of; fewer stand at the right, where now is. */
const SLOTS = 24;

interface SparkProps {
  /** What the bars say, in words. */
  label: string;
  values: readonly number[];
  /** The part of each value that is bad. */
  bad: readonly number[];
}

/** A row of small bars, the bad part of each in red at its foot. Nothing happened: a line. */
export function Spark({ label, values, bad }: SparkProps): ReactNode {
  const most = Math.max(1, ...values);
  const step = WIDTH / Math.max(SLOTS, values.length);
  const left = WIDTH - step * values.length;
  const bar = (value: number): number => (value === 0 ? 0 : Math.max(1.5, (value / most) * (HEIGHT - 2)));
  return (
    <svg
      className="spark"
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      width={WIDTH}
      height={HEIGHT}
      role="img"
      aria-label={label}
    >
      <title>{label}</title>
      <line x1="0" x2={WIDTH} y1={HEIGHT - 0.5} y2={HEIGHT - 0.5} className="spark-line" />
      {values.map((value, index) => {
        const red = bar(bad[index] ?? 0);
        const whole = Math.max(red, bar(value));
        if (whole === 0) return null;
        const x = left + index * step + 0.5;
        return (
          // Bars have no identity but their place.
          // oxlint-disable-next-line react/no-array-index-key
          <g key={index}>
            <rect className="spark-bar" x={x} y={HEIGHT - whole} width={step - 1} height={whole} />
            {red > 0 && <rect className="spark-bad" x={x} y={HEIGHT - red} width={step - 1} height={red} />}
          </g>
        );
      })}
    </svg>
  );
}
