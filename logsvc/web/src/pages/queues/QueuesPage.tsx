import { useMemo, useState, type ReactNode } from "react";

import { serverNow } from "../../api/clock.ts";
import { usePauses } from "../../api/pauses.ts";
import { useQueues } from "../../api/queues.ts";
import { useTrends } from "../../api/stats.ts";
import { count, counted } from "../../format/count.ts";
import { searchWith } from "../../parts/addresses.ts";
import { FindBox } from "../../parts/FindBox.tsx";
import { TableExport } from "../../parts/TableExport.tsx";
import { Told } from "../../parts/Told.tsx";
import { Trouble as TroubleBanner } from "../../parts/Trouble.tsx";
import { inEnvs, useEnvs } from "../../shell/envs.ts";
import { Bell } from "../../shell/icons.tsx";
import type { PageProps } from "../../shell/pages.ts";
import { navigate } from "../../shell/router.ts";
import { Stored, useStored } from "../../shell/stored.ts";
import { useNow } from "../../shell/useNow.ts";
import { GROUPINGS, groupsOf, inOrderOf, type Grouping, type Ranked } from "./grouping.ts";
import { QueueTable } from "./QueueTable.tsx";
import { byTrouble } from "../../parts/queueTrouble.ts";
import "./queues.css";

/** Rows stay where they are for so long after the focus came to one or a press; then trouble comes first again. */
const STILL_MS = 10_000;
const GROUPING_NAMES: Readonly<Record<Grouping, string>> = {
  none: "No groups",
  name: "By name",
  source: "By source",
};
const GROUPED = new Stored<Grouping>(
  "tocsin-queue-groups",
  (text) => GROUPINGS.find((each) => each === text) ?? "none",
);

/** Every watched queue, trouble first. */
export function QueuesPage({ search }: PageProps): ReactNode {
  const { data, error, dataUpdatedAt, isPending, refetch } = useQueues();
  const trends = useTrends();
  // An hour that is long over is not the last one.
  const lastHour = trends.error === null ? trends.data : undefined;
  const envs = useEnvs();
  const now = useNow();
  const needle = new URLSearchParams(search).get("q") ?? "";
  const find = (name: string): void => navigate("queues", searchWith(search, "q", name), { replace: true });
  const grouping = useStored(GROUPED);

  const items = useMemo(
    () => (data?.items ?? []).filter(({ env }) => envs.length === 0 || envs.includes(env ?? "")),
    [data, envs],
  );
  const pauses = usePauses(items.some((item) => item.is_paused));
  const worstFirst = useMemo(() => byTrouble(items, now, lastHour), [items, now, lastHour]);
  const [usedAt, setUsedAt] = useState(-Infinity);
  const ranked = useSteadyOrder(worstFirst, now - usedAt < STILL_MS);
  const shown = useMemo(
    () => ranked.filter(({ item }) => item.queue.toLowerCase().includes(needle.trim().toLowerCase())),
    [ranked, needle],
  );
  const groups = useMemo(() => groupsOf(shown, grouping), [shown, grouping]);
  const troubled = ranked.filter(({ trouble }) => trouble.score > 0).length;
  const hasSources = new Set(ranked.map(({ item }) => `${item.source} ${item.env}`)).size > 1;

  return (
    <div className="queues">
      <div className="queues-head">
        <h1>Queues</h1>
        <p className="queues-sum">
          {data && (
            <>
              {data.next_cursor !== null && "the first "}
              {counted(ranked.length, "queue")}
              {ranked.length > 0 && (troubled === 0 ? ", all healthy" : `, ${count(troubled)} with trouble`)}
              <Told asOf={data.as_of} />
            </>
          )}
        </p>
        <span className="page-space" />
        <FindBox label="Find a queue" value={needle} change={find} />
        <select
          className="select"
          aria-label="Groups"
          data-testid="queue-grouping"
          value={grouping}
          onChange={(event) => GROUPED.choose(GROUPINGS.find((each) => each === event.target.value) ?? "none")}
        >
          {GROUPINGS.map((each) => (
            <option key={each} value={each}>
              {GROUPING_NAMES[each]}
            </option>
          ))}
        </select>
        <TableExport name="queues" rows={shown.map(({ item }) => item)} />
      </div>
      {error && (
        <TroubleBanner
          what="The counts"
          error={error}
          shownSince={data ? dataUpdatedAt : 0}
          retry={() => void refetch()}
        />
      )}
      {trends.error && !error && (
        <p className="queues-degraded" role="status">
          Counts are live. What happened in the last hour cannot be told just now: {trends.error.message}.
        </p>
      )}
      {isPending && !error && <p className="empty empty-quiet">Counting…</p>}
      {data && data.items.length === 0 && (
        <div className="empty" data-testid="empty">
          <Bell />
          <h2>No queues yet</h2>
          <p>
            Tocsin has not seen a BullMQ queue. Does <code>REDIS_URL</code> name the Redis of your app?{" "}
            <code>tocsin doctor</code> says what is missing.
          </p>
        </div>
      )}
      {shown.length > 0 && (
        <QueueTable
          groups={groups}
          hasSources={hasSources}
          now={now}
          trends={lastHour}
          pauses={pauses}
          setInUse={(isInUse) => setUsedAt(isInUse ? serverNow() : -Infinity)}
        />
      )}
      {data && data.items.length > 0 && shown.length === 0 && (
        <div className="empty">
          <p>{ranked.length === 0 ? `No queue${inEnvs(envs)}.` : `No queue has “${needle}” in its name.`}</p>
          {needle !== "" && (
            <button type="button" className="button" onClick={() => find("")}>
              Show all
            </button>
          )}
        </div>
      )}
    </div>
  );
}

/** As they are ranked; while somebody is about to use a row, in the order in which they were when that began. */
function useSteadyOrder(ranked: readonly Ranked[], isInUse: boolean): readonly Ranked[] {
  const [order, setOrder] = useState(ranked);
  if (!isInUse && order !== ranked) setOrder(ranked);
  return useMemo(() => (isInUse ? inOrderOf(order, ranked) : ranked), [isInUse, order, ranked]);
}
