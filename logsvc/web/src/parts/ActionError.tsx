import type { ReactNode } from "react";

import { ApiError } from "../api/client.ts";

/** Why something could not be done, and what would help, where the server knows; nothing while there is no error. */
export function ActionError({ error }: { error: Error | null }): ReactNode {
  if (error === null) return null;
  return (
    <p className="action-error" role="alert">
      {error.message}.{error instanceof ApiError && error.said.mend !== "" && ` ${error.said.mend}.`}
    </p>
  );
}
