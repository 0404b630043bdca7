import type { ReactNode } from "react";

/** How many incidents nobody has; nothing at 0. */
export function Unheeded({ count }: { count: number }): ReactNode {
  if (count === 0) return null;
  return (
    <span className="unheeded" title={`${count} that nobody has`} data-testid="unheeded">
      {count > 99 ? "99+" : count}
    </span>
  );
}
