import type { ReactNode } from "react";

import { useMe } from "../api/me.ts";
import { Link } from "./Link.tsx";

/** Who is here, with the way to their account: there is the way out, too. */
export function Account(): ReactNode {
  const { data: me } = useMe();
  if (me === undefined) return null;
  return (
    <Link path="account" className="account" title={`${me.name}, ${me.role}: account, log out`}>
      <span data-testid="account">{me.name}</span>
    </Link>
  );
}
