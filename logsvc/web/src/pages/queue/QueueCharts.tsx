import { useMemo, type ReactNode } from "react";

import { useBacklog, useDurations, type Backlog, type Durations, type Times } from "../../api/stats.ts";
import type { Series } from "../../charts/spec.ts";
import { TimeChart } from "../../charts/TimeChart.tsx";
import { count, counted, percent } from "../../format/count.ts";
import { duration } from "../../format/time.ts";
import type { Range } from "../../parts/timeRange.ts";
import { olderOf } from "../../parts/told.ts";
import { ToldNote } from "../../parts/Told.tsx";
import { Trouble } from "../../parts/Trouble.tsx";

interface QueueChartsProps {
  source: string;
  queue: string;
  range: Range;
  zoom: (from: number, to: number) => void;
}

const HEIGHT = 150;

export function QueueCharts({ source, queue, range, zoom }: QueueChartsProps): ReactNode {
  const durations = useDurations(source, queue, range);
  const backlog = useBacklog(source, queue, range);
  const error = durations.error ?? backlog.error;
  return (
    <>
      <ToldNote
        asOf={olderOf(durations.data?.as_of, backlog.data?.as_of)}
        lost={durations.data?.coverage.events_lost}
        range={range}
        isQuiet
      />
      {error && (
        <Trouble
          what="What was"
          error={error}
          shownSince={durations.data ? durations.dataUpdatedAt : 0}
          retry={() => {
            void durations.refetch();
            void backlog.refetch();
          }}
        />
      )}
      <div
        className="charts"
        data-stale={durations.isPlaceholderData || backlog.isPlaceholderData}
        aria-busy={durations.isFetching}
        data-testid="queue-charts"
      >
        {durations.data && <OfDurations told={durations.data} zoom={zoom} />}
        {backlog.data && <OfBacklog told={backlog.data} zoom={zoom} />}
        {durations.isPending && !error && <p className="empty-quiet">Reading history…</p>}
      </div>
    </>
  );
}

type Zoom = QueueChartsProps["zoom"];

function OfDurations({ told, zoom }: { told: Durations; zoom: Zoom }): ReactNode {
  const charts = useMemo(() => seriesOf(told), [told]);
  const same = {
    times: charts.times,
    bucketMs: told.bucket_seconds * 1000,
    markers: told.markers,
    height: HEIGHT,
    zoom,
  };
  const { whole } = told;
  const rate =
    whole.failure_rate === null ? "No job ended" : `${percent(whole.failure_rate)} of those that ended failed`;
  return (
    <>
      <TimeChart
        {...same}
        title="Throughput, jobs a minute"
        kind="lines"
        series={charts.throughput}
        say={perMinute}
        summary={`${counted(whole.added, "job")} added, ${count(whole.completed)} completed, ${count(whole.failed)} failed for good, ${count(whole.retried)} tries retried`}
      />
      <TimeChart
        {...same}
        title="Failure rate"
        kind="lines"
        series={charts.rate}
        say={percent}
        summary={
          whole.failure_rate === null
            ? rate
            : `${rate}: ${count(whole.failed)} of ${count(whole.completed + whole.failed)}`
        }
      />
      <TimeChart
        {...same}
        title="Run time"
        kind="lines"
        series={charts.run}
        say={duration}
        summary={timesSummary(whole.run, "run")}
      />
      <TimeChart
        {...same}
        title="Wait time"
        kind="lines"
        series={charts.wait}
        say={duration}
        summary={timesSummary(whole.wait, "wait")}
      />
    </>
  );
}

function OfBacklog({ told, zoom }: { told: Backlog; zoom: Zoom }): ReactNode {
  const { times, counts, oldest } = useMemo(() => backlogSeries(told), [told]);
  const seen = told.items.filter(({ waiting }) => waiting !== null);
  const most = Math.max(0, ...seen.map(({ waiting }) => waiting ?? 0));
  const longest = Math.max(0, ...seen.map((item) => item.oldest_waiting_seconds ?? 0));
  const last = seen.at(-1);
  const same = { kind: "lines", times, bucketMs: told.bucket_seconds * 1000, markers: told.markers } as const;
  return (
    <>
      <TimeChart
        {...same}
        title="Backlog, jobs"
        series={counts}
        height={HEIGHT}
        say={jobs}
        zoom={zoom}
        summary={
          last === undefined
            ? "Nobody looked in this time"
            : `${count(last.waiting ?? 0)} waiting at the end, ${count(most)} at the most`
        }
      />
      <TimeChart
        {...same}
        title="Oldest waiting"
        series={oldest}
        height={HEIGHT}
        say={duration}
        zoom={zoom}
        summary={longest === 0 ? "No job had to wait" : `At the most ${duration(longest * 1000)}`}
      />
    </>
  );
}

function backlogSeries({ items }: Backlog): { times: number[]; counts: Series[]; oldest: Series[] } {
  const oldest = items.map((item) =>
    item.oldest_waiting_seconds === null ? (item.waiting === 0 ? 0 : null) : item.oldest_waiting_seconds * 1000,
  );
  return {
    times: items.map(({ ts }) => Date.parse(ts)),
    counts: [
      { name: "waiting", tone: "accent", values: items.map(({ waiting }) => waiting) },
      { name: "active", tone: "info", values: items.map(({ active }) => active) },
      { name: "delayed", tone: "debug", values: items.map(({ delayed }) => delayed), isDashed: true },
    ],
    oldest: [{ name: "oldest", tone: "brass", values: oldest }],
  };
}

function seriesOf(told: Durations): {
  times: readonly number[];
  throughput: readonly Series[];
  rate: readonly Series[];
  run: readonly Series[];
  wait: readonly Series[];
} {
  const minutes = told.bucket_seconds / 60;
  const { items } = told;
  return {
    times: items.map(({ ts }) => Date.parse(ts)),
    throughput: [
      { name: "added", tone: "debug", isDashed: true, values: items.map(({ added }) => added / minutes) },
      { name: "completed", tone: "good", values: items.map(({ completed }) => completed / minutes) },
      { name: "failed", tone: "error", values: items.map(({ failed }) => failed / minutes) },
    ],
    rate: [{ name: "failed for good", tone: "error", values: items.map((item) => item.failure_rate) }],
    run: quantiles(items.map(({ run }) => run)),
    wait: quantiles(items.map(({ wait }) => wait)),
  };
}

function quantiles(items: readonly Times[]): Series[] {
  return [
    { name: "p50", tone: "accent", values: items.map(({ p50 }) => p50) },
    { name: "p95", tone: "brass", values: items.map(({ p95 }) => p95) },
    { name: "p99", tone: "violet", isDashed: true, values: items.map(({ p99 }) => p99) },
  ];
}

/** Few samples make poor quantiles: said, so that nobody builds on them. */
const FEW = 30;

function timesSummary({ count: number, p50, p95, p99 }: Times, what: "run" | "wait"): string {
  if (p50 === null || p95 === null || p99 === null) return `No ${what} ended in this time`;
  const few = number < FEW ? `; only ${counted(number, what)}, so take it with care` : "";
  return `Half within ${duration(p50)}, 95 % within ${duration(p95)}, 99 % within ${duration(p99)}${few}`;
}

function perMinute(value: number): string {
  if (value === 0) return "0";
  return value < 10 ? value.toFixed(value < 1 ? 2 : 1).replace(/\.?0+$/u, "") : count(Math.round(value));
}

/** There are no halves of jobs: an axis says nothing where there would be. */
function jobs(value: number): string {
  return Number.isInteger(value) ? count(value) : "";
}
