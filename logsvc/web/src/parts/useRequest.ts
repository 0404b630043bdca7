import { queryOptions, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { newRequestId } from "../api/actions.ts";
import { useMe } from "../api/me.ts";

/** How one thing is asked for: only counted with isDryRun, else done. */
export interface Asking {
  requestId: string;
  isDryRun: boolean;
  csrfToken: string | null;
}

type Ask<Result> = (asking: Asking) => Promise<Result>;

/** One thing that is counted first, then confirmed and done, under one id. part: names each of several. */
export function useRequest() {
  const { data: me } = useMe();
  const queries = useQueryClient();
  const [id] = useState(newRequestId);
  const csrfToken = me?.csrf_token ?? null;
  return {
    /** The query that counts what would be done; once, so that what is confirmed is what was read. */
    dryRun: <Result>(ask: Ask<Result>, part = "") =>
      queryOptions({
        queryKey: ["dry run", id, part],
        queryFn: () => ask({ requestId: `${id}-dry${part}`, isDryRun: true, csrfToken }),
        enabled: me !== undefined,
        // Nor after an error: only where somebody asks for it, and waits for the new number.
        retry: false,
        refetchInterval: false,
        refetchOnWindowFocus: false,
        refetchOnReconnect: false,
        staleTime: Infinity,
        gcTime: 0,
      }),
    /** Do it. Sent again after an error, the same request does nothing twice. */
    send: async <Result>(ask: Ask<Result>, part = ""): Promise<Result> => {
      const result = await ask({ requestId: id + part, isDryRun: false, csrfToken });
      for (const queryKey of [["audit"], ["pauses"]]) void queries.invalidateQueries({ queryKey });
      return result;
    },
  };
}
