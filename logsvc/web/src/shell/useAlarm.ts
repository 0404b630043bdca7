import { useEffect, useRef } from "react";

import { useUnheeded } from "../api/incidents.ts";
import { newOnes, occurrence, tell } from "./alarm.ts";
import { goTo } from "./envs.ts";

/** How many incidents nobody has, for the badges; tells of new ones as this browser was asked to. */
export function useAlarm(): number {
  const { data: unheeded } = useUnheeded();
  const known = useRef<ReadonlySet<string> | null>(null);
  useEffect(() => {
    if (unheeded === undefined) return;
    tell(newOnes(unheeded, known.current), ({ id }) => goTo(`incidents/${id}`));
    known.current = new Set([...(known.current ?? []), ...unheeded.map(occurrence)]);
  }, [unheeded]);
  return unheeded?.length ?? 0;
}
