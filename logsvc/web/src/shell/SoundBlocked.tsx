import { useEffect, useSyncExternalStore, type ReactNode } from "react";

import { soundBlock } from "./alarm.ts";

/** Says that the browser kept an alarm still; the click that reads it away is what the browser waits for. */
export function SoundBlocked(): ReactNode {
  const isBlocked = useSyncExternalStore(soundBlock.subscribe, soundBlock.get);
  useEffect(() => {
    addEventListener("pointerdown", soundBlock.clear);
    addEventListener("keydown", soundBlock.clear);
    return () => {
      removeEventListener("pointerdown", soundBlock.clear);
      removeEventListener("keydown", soundBlock.clear);
    };
  }, []);
  if (!isBlocked) return null;
  return (
    <p className="banner banner-bad" role="alert" data-testid="sound-blocked">
      Something new rings, but your browser lets this page make no sound until you click or press a key here.
    </p>
  );
}
