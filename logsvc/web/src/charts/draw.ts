import UPlot from "uplot";
import "uplot/dist/uPlot.min.css";

import { tickTime } from "../format/time.ts";
import { sayTicks, stacked, type ChartSpec, type Tone } from "./spec.ts";

export interface Drawing {
  resize(width: number): void;
  /** Move the cursor onto a bucket, or away (-1). */
  point(index: number): void;
  /** Mark a stretch between two places of the screen, or nothing; returns the times it is between, ms. */
  mark(stretch: readonly [number, number] | null): readonly [number, number];
  destroy(): void;
}

export interface DrawEvents {
  /** The pointer is over this bucket. */
  onPoint(index: number): void;
  /** A stretch of time was dragged over, ms. */
  onSelect(from: number, to: number): void;
}

const FONT = "11px system-ui, sans-serif";

/** Draw a chart into an element. Colours are read once: draw anew when the theme changes. */
export function draw(host: HTMLElement, spec: ChartSpec, events: DrawEvents): Drawing {
  const colours = new Colours(host);
  const isBars = spec.kind === "bars";
  const width = spec.bucketMs / 1000;
  const times = spec.times.map((time) => time / 1000);
  const first = times[0] ?? 0;
  const end = (times.at(-1) ?? 0) + width;
  const columns = isBars ? stacked(spec.series) : spec.series.map(({ values }) => [...values]);
  // The whole stack is painted first, what lies lower over it.
  const order = isBars ? spec.series.map((_, index) => index).toReversed() : spec.series.map((_, index) => index);
  const bars = UPlot.paths.bars?.({ align: 1, size: [0.86, 60], radius: 0 });

  const plot = new UPlot(
    {
      width: host.clientWidth,
      height: spec.height,
      // To the right, room for half of the last time: it would be cut off.
      padding: [8, 26, 0, 0],
      legend: { show: false },
      cursor: {
        y: false,
        points: { show: !isBars, size: 6 },
        drag: { x: true, y: false, setScale: false, dist: 4 },
      },
      scales: {
        x: { time: true, range: () => [first, end] },
        y: { range: (_, _low, high) => [0, high > 0 ? high * 1.08 : 1] },
      },
      axes: [
        {
          stroke: colours.of("--ink-3"),
          font: FONT,
          size: 26,
          space: 64,
          grid: { show: false },
          ticks: { stroke: colours.of("--line"), size: 4 },
          values: (_, splits) => {
            const step = ((splits[1] ?? 0) - (splits[0] ?? 0)) * 1000 || 60_000;
            return splits.map((split) => tickTime(split * 1000, step, spec.zone));
          },
        },
        {
          stroke: colours.of("--ink-3"),
          font: FONT,
          size: 52,
          space: 26,
          grid: { stroke: colours.of("--line"), width: 1 },
          ticks: { show: false },
          values: (_, splits) => sayTicks(splits, spec.say),
        },
      ],
      series: [
        {},
        ...order.map((index): UPlot.Series => {
          const series = spec.series[index];
          const colour = colours.ofTone(series?.tone ?? "accent");
          return {
            stroke: colour,
            width: isBars ? 0 : 1.5,
            points: { show: !isBars, size: 4, fill: colour, filter: lonely },
            spanGaps: false,
            ...(isBars ? { fill: colour, ...(bars ? { paths: bars } : {}) } : {}),
            ...(series?.isDashed ? { dash: [4, 4] } : {}),
          };
        }),
      ],
      tzDate: (seconds) =>
        spec.zone === "utc" ? UPlot.tzDate(new Date(seconds * 1000), "Etc/UTC") : new Date(seconds * 1000),
      hooks: {
        draw: [(self) => drawMarkers(self, spec, colours.of("--brass"))],
        // Without an index it is a new drawing, and no news of the pointer.
        setCursor: [({ cursor }) => typeof cursor.idx === "number" && events.onPoint(cursor.idx)],
        setSelect: [
          (self) => {
            const { left, width: chosen } = self.select;
            if (chosen < 4) return;
            events.onSelect(self.posToVal(left, "x") * 1000, self.posToVal(left + chosen, "x") * 1000);
            self.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          },
        ],
      },
    },
    [times, ...order.map((index) => columns[index] ?? [])],
    host,
  );

  return {
    resize: (pixels) => plot.setSize({ width: pixels, height: spec.height }),
    point: (index) => {
      const time = times[index];
      const left = time === undefined ? -10 : plot.valToPos(time + (isBars ? width / 2 : 0), "x");
      plot.setCursor({ left, top: time === undefined ? -10 : 0 }, false);
    },
    mark: (stretch) => {
      const { left: edge, width: whole } = plot.over.getBoundingClientRect();
      const [from, to] = (stretch ?? [edge, edge])
        .map((x) => Math.min(Math.max(x - edge, 0), whole))
        .toSorted((one, other) => one - other) as [number, number];
      const height = stretch === null ? 0 : plot.over.clientHeight;
      plot.setSelect({ left: from, top: 0, width: to - from, height }, false);
      return [plot.posToVal(from, "x") * 1000, plot.posToVal(to, "x") * 1000];
    },
    destroy: () => plot.destroy(),
  };
}

/** Values between two that are not known make no line: they are shown as points. */
function lonely(plot: UPlot, seriesIndex: number): number[] {
  const values = plot.data[seriesIndex] ?? [];
  const isKnown = (index: number): boolean => typeof values[index] === "number";
  return Array.from(values, (_, index) => index).filter(
    (index) => isKnown(index) && !isKnown(index - 1) && !isKnown(index + 1),
  );
}

/** A dashed line from top to bottom for each marker, with a small flag. */
function drawMarkers(plot: UPlot, spec: ChartSpec, colour: string): void {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.strokeStyle = colour;
  ctx.fillStyle = colour;
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([4 * devicePixelRatio, 3 * devicePixelRatio]);
  for (const { ts } of spec.markers) {
    const x = Math.round(plot.valToPos(Date.parse(ts) / 1000, "x", true));
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    const size = 5 * devicePixelRatio;
    ctx.beginPath();
    ctx.moveTo(x - size, bbox.top - size);
    ctx.lineTo(x + size, bbox.top - size);
    ctx.lineTo(x, bbox.top + size / 2);
    ctx.fill();
  }
  ctx.restore();
}

const TOKENS: Readonly<Record<Tone, string>> = {
  error: "--error",
  warn: "--warn",
  info: "--info",
  debug: "--ink-3",
  good: "--good",
  accent: "--accent",
  brass: "--brass",
  violet: "--json-word",
};

/** What the theme's colours are now: a canvas knows no custom properties, and `light-dark()` is resolved by use alone. */
class Colours {
  readonly #probe: HTMLElement;

  constructor(host: HTMLElement) {
    this.#probe = host;
  }

  of(token: string): string {
    this.#probe.style.color = `var(${token})`;
    const { color } = getComputedStyle(this.#probe);
    this.#probe.style.color = "";
    return color;
  }

  ofTone(tone: Tone): string {
    return this.of(TOKENS[tone]);
  }
}
