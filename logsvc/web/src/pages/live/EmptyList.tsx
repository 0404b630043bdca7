import type { ReactNode } from "react";

import type { QueueItem } from "../../api/types.ts";
import { counted } from "../../format/count.ts";
import { filterFromSearch, isEmptyFilter } from "../../live/filter.ts";
import { useConnection, useTailView } from "../../live/TailContext.tsx";
import { Bell } from "../../shell/icons.tsx";
import { usePlace } from "../../shell/router.ts";

interface EmptyListProps {
  /** undefined until they are known. */
  queues: readonly QueueItem[] | undefined;
  clearFilter: () => void;
}

/** Says why no line is shown, and what to do. */
export function EmptyList({ queues, clearFilter }: EmptyListProps): ReactNode {
  const { history, linked, past } = useTailView();
  const { state } = useConnection();
  const { search } = usePlace();

  if (history.status === "loading") {
    return (
      <p className="empty empty-quiet">{linked === null ? "Loading the newest lines…" : "Looking for the line…"}</p>
    );
  }
  if (history.status === "refused") {
    return (
      <Empty title="Nothing to show" testId="empty">
        <p>
          {state.status === "refused"
            ? "Neither live lines nor history can be asked with this filter."
            : "History cannot be asked with this filter; new lines that match it will appear here."}
        </p>
        <button type="button" className="button" onClick={clearFilter}>
          Clear the filter
        </button>
      </Empty>
    );
  }
  if (history.status === "failed") {
    return (
      <Empty title="Waiting for history" testId="empty">
        {linked !== null && <p>The linked line shows here once history answers.</p>}
        {linked === null && state.status === "live" && (
          <p>Until it answers, only what happens from now on shows here.</p>
        )}
        {linked === null && state.status !== "live" && (
          <p>There is no live connection either. The page keeps trying.</p>
        )}
      </Empty>
    );
  }
  if (linked !== null) {
    return (
      <Empty title="The linked line was not found" testId="empty">
        <p>History has nothing from that time. It may be older than the days Tocsin keeps.</p>
      </Empty>
    );
  }
  if (past !== null) {
    return (
      <Empty title="Nothing in this time" testId="empty">
        <p>No line that the filter lets through is of the time that is shown.</p>
      </Empty>
    );
  }
  if (!isEmptyFilter(filterFromSearch(search))) {
    return (
      <Empty title="Nothing matches" testId="empty">
        <p>No line in history matches the filter. New ones that do will appear here.</p>
        <button type="button" className="button" onClick={clearFilter}>
          Clear the filter
        </button>
      </Empty>
    );
  }
  if (state.status === "connecting" || state.status === "reconnecting") {
    return (
      <Empty title="Waiting for Tocsin" testId="empty">
        <p>The page has no connection to logsvc yet. It keeps trying by itself.</p>
      </Empty>
    );
  }
  if (queues?.length === 0) {
    return (
      <Empty title="No queues yet" testId="empty">
        <p>
          Tocsin is listening, but it has not seen a BullMQ queue. Does <code>REDIS_URL</code> name the Redis of your
          app? <code>tocsin doctor</code> says what is missing.
        </p>
      </Empty>
    );
  }
  return (
    <Empty title="Listening" testId="empty">
      <p>
        {queues === undefined
          ? "Nothing has happened yet."
          : `Watching ${counted(queues.length, "queue")}; nothing has happened yet.`}{" "}
        The next job that runs shows here at once.
      </p>
    </Empty>
  );
}

function Empty({ title, testId, children }: { title: string; testId: string; children: ReactNode }): ReactNode {
  return (
    <div className="empty" data-testid={testId}>
      <Bell />
      <h2>{title}</h2>
      {children}
    </div>
  );
}
