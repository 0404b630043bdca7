import { useEffect, useSyncExternalStore } from "react";

/** Something the page that is shown can do, for the palette. */
export interface PageAction {
  name: string;
  run(): void;
}

const NONE: readonly PageAction[] = [];
const listeners = new Set<() => void>();
let offered: readonly PageAction[] = NONE;

/** Offer what this page can do, as long as it is shown. Keep `actions` the same between renders: useMemo. */
export function useOfferActions(actions: readonly PageAction[]): void {
  useEffect(() => {
    offer(actions);
    return () => offer(NONE);
  }, [actions]);
}

export function usePageActions(): readonly PageAction[] {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => offered,
  );
}

function offer(actions: readonly PageAction[]): void {
  offered = actions;
  for (const listener of listeners) listener();
}
