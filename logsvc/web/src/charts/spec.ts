import type { TimeMarker } from "../api/markers.ts";
import type { Zone } from "../format/time.ts";

/** A colour by its token: charts follow the theme. */
export type Tone = "error" | "warn" | "info" | "debug" | "good" | "accent" | "brass" | "violet";

export interface Series {
  name: string;
  tone: Tone;
  /** One for each time; null = not known, or nothing to tell. */
  values: readonly (number | null)[];
  isDashed?: boolean;
}

/** What a chart over time shows. Bars are stacked, the first series at the bottom. */
export interface ChartSpec {
  kind: "lines" | "bars";
  /** Where each bucket begins, ms since 1970. */
  times: readonly number[];
  bucketMs: number;
  series: readonly Series[];
  markers: readonly TimeMarker[];
  zone: Zone;
  /** Colours are read from the page when it is drawn: another scheme, another drawing. */
  scheme: "light" | "dark";
  height: number;
  /** A value in words, for ticks and for reading. */
  say: (value: number) => string;
}

/** Every value of one bucket in words, what is 0 or unknown left out: "error 3, warn 12". */
export function sayBucket(spec: ChartSpec, index: number): string {
  const told = spec.series.flatMap(({ name, values }) => {
    const value = values[index] ?? null;
    return value === null || (value === 0 && spec.kind === "bars") ? [] : [`${name} ${spec.say(value)}`];
  });
  return told.join(", ") || "nothing";
}

/** Ticks in words, each said once: what rounds to the word before has none. */
export function sayTicks(values: readonly number[], say: (value: number) => string): string[] {
  const words = values.map(say);
  return words.map((word, index) => (word === words[index - 1] ? "" : word));
}

/** Stacked from the bottom up; unknown counts as nothing. */
export function stacked(series: readonly Series[]): number[][] {
  const sums: number[][] = [];
  for (const { values } of series) {
    const below = sums.at(-1);
    sums.push(values.map((value, index) => (value ?? 0) + (below?.[index] ?? 0)));
  }
  return sums;
}

/** The bucket that a time is in; -1 for none. */
export function bucketAt(spec: ChartSpec, time: number): number {
  const [first] = spec.times;
  if (first === undefined) return -1;
  const index = Math.floor((time - first) / spec.bucketMs);
  return index < spec.times.length ? index : -1;
}
