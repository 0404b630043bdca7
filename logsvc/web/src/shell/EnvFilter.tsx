import type { ReactNode } from "react";

import { EnvBadge } from "./EnvBadge.tsx";
import { chooseEnvs, toneOf, useEnvs, useKnownEnvs } from "./envs.ts";

/** Which environments the page shows: a choice where there are several, else the badge of the one there is. */
export function EnvFilter({ path, search }: { path: string; search: string }): ReactNode {
  const known = useKnownEnvs();
  const chosen = useEnvs();
  const [first] = chosen;
  if (known.length === 0) return null;
  if (known.length === 1 && chosen.length === 0) return <EnvBadge env={known[0]} />;
  return (
    <select
      className="env-filter"
      aria-label="Environment"
      data-testid="env-filter"
      data-tone={chosen.length === 1 && first !== undefined ? toneOf(first) : "other"}
      value={chosen.length > 1 ? "+" : (first ?? "")}
      onChange={(event) => chooseEnvs(path, search, event.target.value === "" ? [] : [event.target.value])}
    >
      <option value="">All envs</option>
      {chosen.length > 1 && (
        <option value="+" disabled>
          {chosen.join(", ")}
        </option>
      )}
      {known.map((env) => (
        <option key={env} value={env}>
          {env}
        </option>
      ))}
    </select>
  );
}
