import { useEffect, useRef } from "react";

import { useUnheeded } from "../api/incidents.ts";
import { newOnes, occurrence, tell } from "./alarm.ts";
import { navigate } from "./router.ts";

/** How many incidents nobody has, for the badges; tells of new ones as this browser was asked to. */
export function useAlarm(): number {
  const { data: unheeded } = useUnheeded();
  const known = useRef<ReadonlySet<string> | null>(null);
  useEffect(() => {
    if (unheeded === undefined) return;
    tell(newOnes(unheeded, known.current), ({ id }) => navigate(`incidents/${id}`));
    known.current = new Set([...(known.current ?? []), ...unheeded.map(occurrence)]);
  }, [unheeded]);
  return unheeded?.length ?? 0;
}
