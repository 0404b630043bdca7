import { useMutation, useQueryClient, type QueryKey, type UseMutationResult } from "@tanstack/react-query";

import { useMe } from "./me.ts";

/** Send something in the name of who is here. What it changes is asked for anew afterwards, however it ended. */
export function useWrite<Asked, Answer>(
  send: (asked: Asked, csrfToken: string | null) => Promise<Answer>,
  changes: readonly QueryKey[],
): UseMutationResult<Answer, Error, Asked> {
  const { data: me } = useMe();
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (asked: Asked) => send(asked, me?.csrf_token ?? null),
    onSettled: () => Promise.all(changes.map((queryKey) => queries.invalidateQueries({ queryKey }))),
  });
}
