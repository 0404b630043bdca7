import { useQuery } from "@tanstack/react-query";
import { useState, type ReactNode } from "react";

import { apiUrl, getJson, sendJson } from "../api/client.ts";
import { serverNow } from "../api/clock.ts";
import { useMe } from "../api/me.ts";
import { useNow } from "../shell/useNow.ts";
import { exportWords, isLost, type Progress } from "./exportWords.ts";

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
  const silentMs = now - (data?.heardAt ?? begunAt);
  // Nothing may ever be heard of it again, as when the server began anew.
  const mayClose = isOver || (isUnwanted && isLost(data?.progress, silentMs));
  return (
    <span className="export-progress" data-testid="export-progress">
      {rows !== null && !isOver && <progress aria-label="Rows sent" max={rows} value={sent} />}
      <span role={isOver ? "status" : undefined}>{exportWords(data?.progress, silentMs)}</span>
      <button
        type="button"
        className="link-button"
        disabled={isUnwanted && !mayClose}
        onClick={() => (mayClose ? close() : setUnwanted(true))}
      >
        {mayClose ? "Close" : "Cancel"}
      </button>
    </span>
  );
}
