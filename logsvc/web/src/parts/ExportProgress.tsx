import { useQuery } from "@tanstack/react-query";
import { useState, type ReactNode } from "react";

import { apiUrl, getJson, sendJson } from "../api/client.ts";
import { serverNow } from "../api/clock.ts";
import { useMe } from "../api/me.ts";
import { useNow } from "../shell/useNow.ts";
import { exportWords, type Progress } from "./exportWords.ts";

const EVERY_MS = 1_000;

/** How far a file is, and the way to end it. Only the replica that sends it knows: what another says is passed over. */
export default function ExportProgress({ name, close }: { name: string; close: () => void }): ReactNode {
  const { data: me } = useMe();
  const now = useNow();
  const [begunAt] = useState(now);
  const [isUnwanted, setUnwanted] = useState(false);
  const url = apiUrl(`exports/${name}`);
  const { data } = useQuery({
    queryKey: ["export", name],
    queryFn: async ({ signal }) => {
      if (isUnwanted) await sendJson("DELETE", url, undefined, me?.csrf_token ?? null);
      const progress = await getJson<Progress | null>(url, signal);
      if (progress === null) throw new Error("not this replica, or not yet");
      return { progress, heardAt: serverNow() };
    },
    refetchInterval: ({ state }) => !state.data?.progress.is_over && EVERY_MS,
    refetchIntervalInBackground: true,
    retry: false,
  });
  const { rows = null, sent = 0, is_over: isOver = false } = data?.progress ?? {};
  return (
    <span className="export-progress" data-testid="export-progress">
      {rows !== null && !isOver && <progress aria-label="Rows sent" max={rows} value={sent} />}
      <span role={isOver ? "status" : undefined}>{exportWords(data?.progress, now - (data?.heardAt ?? begunAt))}</span>
      <button
        type="button"
        className="link-button"
        disabled={isUnwanted && !isOver}
        onClick={() => (isOver ? close() : setUnwanted(true))}
      >
        {isOver ? "Close" : "Cancel"}
      </button>
    </span>
  );
}
