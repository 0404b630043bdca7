import { useState } from "react";

/** How the live page is laid out; remembered in this browser. isWrapped: long lines are shown whole. */
export interface ViewOptions {
  isWrapped: boolean;
  hasHistogram: boolean;
}

const KEY = "tocsin-live-view";

export function useViewOptions(): { options: ViewOptions; choose: (change: Partial<ViewOptions>) => void } {
  const [options, setOptions] = useState<ViewOptions>(stored);
  const choose = (change: Partial<ViewOptions>): void => {
    const next = { ...options, ...change };
    setOptions(next);
    try {
      localStorage.setItem(KEY, JSON.stringify(next));
    } catch {
      // Storage can be forbidden: it holds until the page is left.
    }
  };
  return { options, choose };
}

/** A phone begins without the histogram: the lines need the room. */
function stored(): ViewOptions {
  const usual = { isWrapped: false, hasHistogram: matchMedia("(min-width: 768px)").matches };
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(KEY) ?? "{}");
    return typeof kept === "object" ? { ...usual, ...kept } : usual;
  } catch {
    return usual;
  }
}
