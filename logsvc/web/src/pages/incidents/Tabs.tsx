import type { ReactNode } from "react";

import { searchWithEnvs, useEnvs } from "../../shell/envs.ts";
import { Link } from "../../shell/Link.tsx";

/** The ways between incidents and rules. */
export function Tabs({ current }: { current: "open" | "all" | "rules" }): ReactNode {
  const envs = useEnvs();
  return (
    <nav className="tabs" aria-label="Incidents and rules">
      <Link path="incidents" search={searchWithEnvs("", envs)} isCurrent={current === "open"}>
        Open
      </Link>
      <Link path="incidents" search={searchWithEnvs("?state=all", envs)} isCurrent={current === "all"}>
        All
      </Link>
      <Link path="incidents/rules" isCurrent={current === "rules"}>
        Rules
      </Link>
    </nav>
  );
}
