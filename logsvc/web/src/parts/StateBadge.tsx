import type { ReactNode } from "react";

const TONES: Readonly<Record<string, string>> = {
  completed: "good",
  failed: "error",
  stalled: "warn",
  retrying: "warn",
  active: "accent",
  running: "accent",
};

/** A job's state, or what became of an attempt: in words, and in a colour. */
export function StateBadge({ state }: { state: string }): ReactNode {
  return (
    <span className="state-badge" data-tone={TONES[state] ?? "debug"}>
      {state.replaceAll("-", " ")}
    </span>
  );
}
