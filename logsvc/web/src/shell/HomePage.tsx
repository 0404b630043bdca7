import { useEffect, type ReactNode } from "react";

import { ApiError, apiUrl, getJson } from "../api/client.ts";
import type { Me } from "../api/me.ts";
import { fetchViews } from "../api/views.ts";
import { navigate } from "./router.ts";
import { placeOfView } from "./views.ts";

/** Nobody waits longer for their home than this: then it is the live page. */
const PATIENCE_MS = 2_000;

/** Where one begins: the view that is one's home, else the live page. */
export function HomePage(): ReactNode {
  useEffect(() => {
    const left = new AbortController();
    const go = async (): Promise<void> => {
      const { path, search } = await homeOf(AbortSignal.any([left.signal, AbortSignal.timeout(PATIENCE_MS)]));
      if (!left.signal.aborted) navigate(path, search, { replace: true });
    };
    void go();
    return () => left.abort();
  }, []);
  return <p className="empty empty-quiet">Loading…</p>;
}

async function homeOf(signal: AbortSignal): Promise<{ path: string; search: string }> {
  try {
    const me = await getJson<Me>(apiUrl("me"), signal);
    const { items } = me.has_bot ? await fetchViews(signal) : { items: [] };
    const home = items.find((view) => view.is_home && view.owner === me.user_id);
    if (home) return placeOfView(home);
  } catch (error) {
    if (!(error instanceof ApiError || error instanceof DOMException)) throw error;
  }
  return { path: "logs", search: "" };
}
