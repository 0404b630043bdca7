import type { ReactNode } from "react";

import { toneOf } from "./envs.ts";

/** The name of an environment; nothing where it has none. */
export function EnvBadge({ env }: { env: string | undefined }): ReactNode {
  if (!env) return null;
  return (
    <span className="env-badge" data-tone={toneOf(env)} title={`Environment ${env}`}>
      <bdi>{env}</bdi>
    </span>
  );
}
