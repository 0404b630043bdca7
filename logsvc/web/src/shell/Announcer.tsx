import type { ReactNode } from "react";

import { useConnection, useTailPart } from "../live/TailContext.tsx";

const WORDS = {
  connecting: "Connecting",
  live: "Live",
  stale: "Connected, but silent",
  reconnecting: "Connection lost, reconnecting",
  refused: "The filter is refused",
  stopped: "Not connected",
} as const;

/** Tells a screen reader of another page, and of changes of state; not of every line, nor of each second of a countdown. */
export function Announcer({ page }: { page: string }): ReactNode {
  const { state } = useConnection();
  const isPaused = useTailPart((view) => view.isPaused);
  return (
    <div className="visually-hidden">
      <p role="status">{page}</p>
      <p role="status">
        {WORDS[state.status]}
        {isPaused && ". Paused"}
      </p>
    </div>
  );
}
