import { Stored, useStored } from "../../shell/stored.ts";

/** How the live page is laid out; remembered in this browser. isWrapped: long lines are shown whole. */
export interface ViewOptions {
  isWrapped: boolean;
  hasHistogram: boolean;
}

const chosen = new Stored<ViewOptions>("tocsin-live-view", optionsOf, JSON.stringify);

export function useViewOptions(): { options: ViewOptions; choose: (change: Partial<ViewOptions>) => void } {
  return { options: useStored(chosen), choose: (change) => chosen.choose({ ...chosen.get(), ...change }) };
}

/** A phone begins without the histogram: the lines need the room. */
function optionsOf(text: string | null): ViewOptions {
  const usual = { isWrapped: false, hasHistogram: matchMedia("(min-width: 768px)").matches };
  try {
    const kept: unknown = JSON.parse(text ?? "{}");
    return typeof kept === "object" ? { ...usual, ...kept } : usual;
  } catch {
    return usual;
  }
}
