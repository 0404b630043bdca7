import { useSyncExternalStore } from "react";

import type { Zone } from "../format/time.ts";

export const TIME_STYLES = ["local", "utc", "relative"] as const;
/** How times are written: by this machine's clock, in UTC, or as "3 min ago" where a list has room for no more. */
export type TimeStyle = (typeof TIME_STYLES)[number];

const KEY = "tocsin-time";
const listeners = new Set<() => void>();
let chosen: TimeStyle | null = null;

function chosenStyle(): TimeStyle {
  chosen ??= storedStyle();
  return chosen;
}

function storedStyle(): TimeStyle {
  let stored: string | null = null;
  try {
    stored = localStorage.getItem(KEY);
  } catch {
    // Storage can be forbidden: then the choice holds until the page is left.
  }
  return TIME_STYLES.find((style) => style === stored) ?? "local";
}

export function chooseTimeStyle(style: TimeStyle): void {
  chosen = style;
  try {
    localStorage.setItem(KEY, style);
  } catch {
    // As above.
  }
  for (const listener of listeners) listener();
}

export function useTimeStyle(): TimeStyle {
  return useSyncExternalStore((listener) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  }, chosenStyle);
}

/** The zone in which whole times and charts are written. */
export function useZone(): Zone {
  return useTimeStyle() === "utc" ? "utc" : "local";
}
