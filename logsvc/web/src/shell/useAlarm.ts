import { useEffect, useRef } from "react";

import { useIncidents } from "../api/incidents.ts";
import { isUnheeded } from "../pages/incidents/words.ts";
import { newOnes, occurrence, tell } from "./alarm.ts";
import { navigate } from "./router.ts";

const EVERY_MS = 10_000;

/** How many incidents nobody has, for the badges; tells of new ones as this browser was asked to. */
export function useAlarm(): number {
  const { data } = useIncidents("open", undefined, EVERY_MS);
  const known = useRef<ReadonlySet<string> | null>(null);
  const unheeded = data?.items.filter(isUnheeded);
  useEffect(() => {
    if (data === undefined) return;
    const now = data.items.filter(isUnheeded);
    tell(newOnes(now, known.current), ({ id }) => navigate(`incidents/${id}`));
    known.current = new Set([...(known.current ?? []), ...now.map(occurrence)]);
  }, [data]);
  return unheeded?.length ?? 0;
}
