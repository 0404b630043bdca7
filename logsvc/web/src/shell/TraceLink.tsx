import type { ReactNode } from "react";

import { useMe } from "../api/me.ts";
import { traceUrl } from "./trace.ts";

/** A trace's id, with the way to it where TRACE_URL_TEMPLATE says one. */
export function TraceLink({ traceId }: { traceId: string }): ReactNode {
  const { data: me } = useMe();
  const url = traceUrl(me?.trace_url_template, traceId);
  if (url === null) return <bdi>{traceId}</bdi>;
  return (
    <>
      <bdi>{traceId}</bdi>{" "}
      <a href={url} target="_blank" rel="noreferrer">
        Open trace
      </a>
    </>
  );
}
