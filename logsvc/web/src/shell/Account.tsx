import type { ReactNode } from "react";

import { useMe } from "../api/me.ts";
import { addressOf } from "./router.ts";

/** Who is logged in, with the way out; nothing where nobody logs in. A true link: the way out needs no script. */
export function Account(): ReactNode {
  const { data: me } = useMe();
  if (me?.can_log_out !== true) return null;
  return (
    <a className="account" href={addressOf("logout")} title={`${me.name}, ${me.role}: log out`} data-testid="account">
      {me.name}
    </a>
  );
}
