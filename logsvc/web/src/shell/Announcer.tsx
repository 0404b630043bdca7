import type { ReactNode } from "react";

import { useConnection, useTailView } from "../live/TailContext.tsx";

const WORDS = {
  connecting: "Connecting",
  live: "Live",
  stale: "Connected, but silent",
  reconnecting: "Connection lost, reconnecting",
  refused: "The filter is refused",
  stopped: "Not connected",
} as const;

/** Tells a screen reader of changes of state; not of every line, and not of each second of a countdown. */
export function Announcer(): ReactNode {
  const { state } = useConnection();
  const { isPaused } = useTailView();
  return (
    <div className="visually-hidden" role="status" aria-live="polite">
      {WORDS[state.status]}
      {isPaused && ". Paused"}
    </div>
  );
}
