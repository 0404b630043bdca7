import type { Zone } from "../format/time.ts";
import { Stored, useStored } from "./stored.ts";

export const TIME_STYLES = ["local", "utc", "relative"] as const;
/** How times are written: by this machine's clock, in UTC, or as "3 min ago" where a list has room for no more. */
export type TimeStyle = (typeof TIME_STYLES)[number];

const chosen = new Stored<TimeStyle>("tocsin-time", (text) => TIME_STYLES.find((style) => style === text) ?? "local");

export function chooseTimeStyle(style: TimeStyle): void {
  chosen.choose(style);
}

export function useTimeStyle(): TimeStyle {
  return useStored(chosen);
}

/** The zone in which whole times and charts are written. */
export function useZone(): Zone {
  return useTimeStyle() === "utc" ? "utc" : "local";
}
