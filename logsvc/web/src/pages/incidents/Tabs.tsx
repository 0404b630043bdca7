import type { ReactNode } from "react";

import { Link } from "../../shell/Link.tsx";

/** The ways between incidents and rules. */
export function Tabs({ current }: { current: "open" | "all" | "rules" }): ReactNode {
  return (
    <nav className="tabs" aria-label="Incidents and rules">
      <Link path="incidents" isCurrent={current === "open"}>
        Open
      </Link>
      <Link path="incidents" search="?state=all" isCurrent={current === "all"}>
        All
      </Link>
      <Link path="incidents/rules" isCurrent={current === "rules"}>
        Rules
      </Link>
    </nav>
  );
}
