import type { ReactNode } from "react";

import { EnvBadge } from "../shell/EnvBadge.tsx";
import { Link } from "../shell/Link.tsx";
import { queuePlace } from "./addresses.ts";

interface QueueNameProps {
  env: string;
  source: string;
  queue: string;
}

/** A queue in a table: its name leads to it; env and source tell it from another of the same name. */
export function QueueName({ env, source, queue }: QueueNameProps): ReactNode {
  return (
    <span className="with-badge">
      <Link {...queuePlace(source, queue)} className="name">
        <bdi>{queue}</bdi>
      </Link>
      <EnvBadge env={env} />
      <span className="quiet">{source}</span>
    </span>
  );
}
