import { useEffect, useSyncExternalStore } from "react";

import { Told } from "../live/told.ts";

/** Something the page that is shown can do, for the palette. */
export interface PageAction {
  name: string;
  run(): void;
}

const NONE: readonly PageAction[] = [];
const offered = new Told(NONE);

/** Offer what this page can do, as long as it is shown. Keep `actions` the same between renders: useMemo. */
export function useOfferActions(actions: readonly PageAction[]): void {
  useEffect(() => {
    offered.set(actions);
    return () => offered.set(NONE);
  }, [actions]);
}

export function usePageActions(): readonly PageAction[] {
  return useSyncExternalStore(offered.subscribe, offered.get);
}
