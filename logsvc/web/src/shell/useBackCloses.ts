import { useEffect, useEffectEvent } from "react";

const STEP = "tocsin-open";

/** While something covers the page, Back closes it and does not leave the page. Closed otherwise, its step is taken back. */
export function useBackCloses(isOpen: boolean, close: () => void): void {
  const back = useEffectEvent(close);
  useEffect(() => {
    if (!isOpen) return undefined;
    history.pushState(STEP, "");
    const onBack = (): void => back();
    addEventListener("popstate", onBack);
    return () => {
      removeEventListener("popstate", onBack);
      // Not so after Back itself, or where a link led on.
      if (history.state === STEP) history.back();
    };
  }, [isOpen]);
}
