import { queryOptions, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { newRequestId } from "../api/actions.ts";
import type { Progress } from "../api/client.ts";
import { useMe } from "../api/me.ts";
import { turns, untilAnswered } from "../api/patience.ts";

/** How one thing is asked for: only counted with isDryRun, else done. */
export interface Asking {
  requestId: string;
  isDryRun: boolean;
  csrfToken: string | null;
}

type Ask<Result> = (asking: Asking) => Promise<Result>;

/** The bridge takes 8 at once, of everybody. */
const inTurn = turns(3);

/**
 * One thing that is counted first, then confirmed and done, under one id. part: names each of several; however many they
 * are, few are asked at once, and who is busy or still at it is asked again.
 */
export function useRequest() {
  const { data: me } = useMe();
  const queries = useQueryClient();
  const [id] = useState(newRequestId);
  const [progress, setProgress] = useState<Readonly<Record<string, Progress | null>>>({});
  const csrfToken = me?.csrf_token ?? null;
  return {
    /** Of each part whose turn has come, how far it is; null where nobody can tell. */
    progress,
    /** The query that counts what would be done; once, so that what is confirmed is what was read. */
    dryRun: <Result>(ask: Ask<Result>, part = "") =>
      queryOptions({
        queryKey: ["dry run", id, part],
        queryFn: ({ signal }: { signal: AbortSignal }) =>
          inTurn(() =>
            untilAnswered(() => ask({ requestId: `${id}-dry${part}`, isDryRun: true, csrfToken }), { signal }),
          ),
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
      const tell = (now: Progress | null): void => setProgress((old) => ({ ...old, [part]: now ?? old[part] ?? null }));
      const result = await inTurn(() => {
        tell(null);
        return untilAnswered(() => ask({ requestId: id + part, isDryRun: false, csrfToken }), { tell });
      });
      for (const queryKey of [["audit"], ["pauses"]]) void queries.invalidateQueries({ queryKey });
      return result;
    },
  };
}
