import { useEffect, useEffectEvent } from "react";

import { NAVIGATED, OPEN_STEP } from "./router.ts";

/**
 * While something covers the page, Back closes it and does not leave the page; so does whatever leads on from within it.
 * Closed otherwise, its step is taken back.
 */
export function useBackCloses(isOpen: boolean, close: () => void): void {
  const back = useEffectEvent(close);
  useEffect(() => {
    if (!isOpen) return undefined;
    history.pushState(OPEN_STEP, "");
    const onBack = (): void => back();
    addEventListener("popstate", onBack);
    addEventListener(NAVIGATED, onBack);
    return () => {
      removeEventListener("popstate", onBack);
      removeEventListener(NAVIGATED, onBack);
      // Not so after Back itself, or where a link led on.
      if (history.state === OPEN_STEP) history.back();
    };
  }, [isOpen]);
}
