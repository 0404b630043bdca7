import { useCallback, useMemo, useState, type ReactNode } from "react";

import { retryWithin } from "../../api/actions.ts";
import { serverNow } from "../../api/clock.ts";
import { useError, type ErrorDetail } from "../../api/errors.ts";
import { ApiError } from "../../api/client.ts";
import { useMe } from "../../api/me.ts";
import type { Row } from "../../api/types.ts";
import { TimeChart } from "../../charts/TimeChart.tsx";
import { count } from "../../format/count.ts";
import { ago, duration, fullTime } from "../../format/time.ts";
import { ActionButton } from "../../parts/ActionButton.tsx";
import { jobPlace } from "../../parts/addresses.ts";
import { Asking } from "../../parts/Asking.tsx";
import { Block } from "../../parts/Block.tsx";
import { FactList, type NamedFact } from "../../parts/FactList.tsx";
import { QueueName } from "../../parts/QueueName.tsx";
import { rangeFromSearch, rangeWords, searchWithRange, wider, type Range } from "../../parts/timeRange.ts";
import { TimeRangePicker } from "../../parts/TimeRangePicker.tsx";
import { NOT_ALLOWED, onlyOf } from "../../parts/actionWords.ts";
import { Told } from "../../parts/Told.tsx";
import { Trouble } from "../../parts/Trouble.tsx";
import { useEnvs } from "../../shell/envs.ts";
import { Link } from "../../shell/Link.tsx";
import { useOfferActions } from "../../shell/pageActions.ts";
import { navigate } from "../../shell/router.ts";
import { useZone } from "../../shell/timeStyle.ts";
import { useNow } from "../../shell/useNow.ts";
import { useTitle } from "../../shell/useTitle.ts";
import { RetryGroup } from "./RetryGroup.tsx";
import { broughtBy, changeOf, ERROR_SPANS, failuresOf, handlingOf } from "./words.ts";

const USUAL: Range = { span: "7d" };

/** One kind of failure: since when, where, which jobs, who dealt with it, and the way to retry them. */
export function ErrorPage({ fingerprint, search }: { fingerprint: string; search: string }): ReactNode {
  const range = rangeFromSearch(search) ?? USUAL;
  const choose = (next: Range): void =>
    navigate(`errors/${encodeURIComponent(fingerprint)}`, searchWithRange(search, next));
  const { data: group, error, isPending, dataUpdatedAt, refetch } = useError(fingerprint, range);
  // Here, as the question outlives the failures that it is about: they may be older than the range by its end.
  const [isRetrying, setRetrying] = useState(false);
  const retry = useCallback(() => setRetrying(true), []);
  useTitle(group && (group.error_type || group.error));
  const isGone = error instanceof ApiError && error.status === 404;
  return (
    <div className="sheet">
      <div className="page-head">
        <p className="crumb">
          <Link path="errors" search={search}>
            Errors
          </Link>
          <Told asOf={group?.as_of} lost={group?.coverage.events_lost} range={range} />
        </p>
        <span className="spread" />
        <TimeRangePicker range={range} spans={ERROR_SPANS} choose={choose} />
      </div>
      {error && !isGone && (
        <Trouble what="This error" error={error} shownSince={group ? dataUpdatedAt : 0} retry={() => void refetch()} />
      )}
      {isPending && <p className="empty empty-quiet">Counting its failures…</p>}
      {isGone && (
        <div className="empty" data-testid="empty">
          <h2>It has not failed in {rangeWords(range)}</h2>
          <p>Choose a longer time above. What is older than the days Tocsin keeps is gone.</p>
        </div>
      )}
      {group && !isGone && (
        <Asking>
          <Detail group={group} range={range} choose={choose} retry={retry} />
        </Asking>
      )}
      {group && isRetrying && <RetryGroup group={group} range={range} close={() => setRetrying(false)} />}
    </div>
  );
}

interface DetailProps {
  group: ErrorDetail;
  range: Range;
  choose: (range: Range) => void;
  retry: () => void;
}

function Detail({ group, range, choose, retry }: DetailProps): ReactNode {
  const zone = useZone();
  const { data: me } = useMe();
  const now = useNow();
  const envs = useEnvs();
  const isWider = envs.length > 0 && group.places.some(({ env }) => !envs.includes(env));
  const mayAct = me !== undefined && me.role !== "viewer";
  useOfferActions(useMemo(() => (mayAct ? [{ name: "Retry these failed jobs", run: retry }] : []), [mayAct, retry]));
  const times = useMemo(() => group.over_time.map(({ ts }) => Date.parse(ts)), [group]);
  const series = useMemo(
    () => [{ name: "failures", tone: "error" as const, values: group.over_time.map(({ failures }) => failures) }],
    [group],
  );
  const brought = broughtBy(group);
  const [newest] = group.newest;
  const facts: readonly NamedFact[] = [
    ["Failed", `${failuresOf(group)} in ${rangeWords(range)}, ${changeOf(group).text}`],
    [
      "First seen",
      `${fullTime(group.first_seen, zone)} · ${ago(now - Date.parse(group.first_seen))}${brought && `, ${brought}`}`,
    ],
    ["Last seen", `${fullTime(group.last_seen, zone)} · ${ago(now - Date.parse(group.last_seen))}`],
    ["Job name", group.job_name],
    ["Dealt with", handlingOf(group, now)],
  ];
  // Where people look now. What of it is still to be retried is counted when it is asked for.
  const finals = group.places
    .filter(({ env }) => envs.length === 0 || envs.includes(env))
    .reduce((sum, place) => sum + place.final_failures, 0);
  return (
    <div className="page-body">
      <div className="title-row">
        <h1 className="error-title">
          {group.error_type && <span className="error-type">{group.error_type}</span>}{" "}
          <bdi>{group.error || "no message"}</bdi>
        </h1>
        <button
          type="button"
          className="button button-go"
          data-testid="retry-these"
          disabled={!mayAct}
          title={me && !mayAct ? NOT_ALLOWED : undefined}
          onClick={retry}
        >
          {finals > 0 ? `Retry these ${count(finals)}…` : "Retry these…"}
        </button>
      </div>
      {isWider && <p className="note">This counts every environment, and not only what is chosen above.</p>}
      <FactList facts={facts} />
      <TimeChart
        title="Failures over time"
        summary={`${failuresOf(group)} in ${rangeWords(range)}`}
        kind="bars"
        times={times}
        bucketMs={group.bucket_seconds * 1000}
        series={series}
        markers={group.markers}
        height={140}
        say={count}
        zoom={(from, to) => choose({ from, to })}
        zoomOut={"from" in range ? () => choose(wider(range, serverNow())) : undefined}
      />
      <Places group={group} range={range} />
      <Newest rows={group.newest} />
      {newest?.stack && newest.stack.length > 0 && (
        <Block
          title={`Stack of the newest failure, newest call first (job ${newest.job_id ?? ""})`}
          text={newest.stack.join("\n")}
          tone="bad"
        />
      )}
    </div>
  );
}

function Places({ group, range }: { group: ErrorDetail; range: Range }): ReactNode {
  const zone = useZone();
  const now = useNow();
  return (
    <section>
      <h2 className="section-title">Where</h2>
      {group.queue_count > group.places.length && (
        <p className="note">
          In {count(group.queue_count)} queues: these are the {count(group.places.length)} with most failures.
        </p>
      )}
      <div className="table-frame">
        <table className="table">
          <thead>
            <tr>
              <th scope="col">Queue</th>
              <th scope="col" className="number">
                Failures
              </th>
              <th scope="col" className="number">
                For good
              </th>
              <th scope="col" className="number">
                Last
              </th>
              <th scope="col">
                <span className="visually-hidden">Actions</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {group.places.map((place) => (
              <tr key={`${place.source}/${place.queue}`} data-row>
                <th scope="row">
                  <QueueName env={place.env} source={place.source} queue={place.queue} />
                </th>
                <td className="number" data-name="Failures">
                  {count(place.failures)}
                </td>
                <td className="number" data-name="For good">
                  {count(place.final_failures)}
                </td>
                <td className="number" data-name="Last" title={fullTime(place.last_seen, zone)}>
                  {ago(now - Date.parse(place.last_seen))}
                </td>
                <td className="number">
                  <ActionButton
                    wish={() => retryWithin(range, serverNow(), group.fingerprint, place)}
                    env={place.env}
                    className="button button-small"
                    label="Retry here…"
                    note={onlyOf(range)}
                  />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function Newest({ rows }: { rows: readonly Row[] }): ReactNode {
  const zone = useZone();
  return (
    <section>
      <h2 className="section-title">Newest failures</h2>
      <div className="table-frame">
        <table className="table">
          <thead>
            <tr>
              <th scope="col">Job</th>
              <th scope="col">When</th>
              <th scope="col">Queue</th>
              <th scope="col">Attempt</th>
              <th scope="col">Worker</th>
              <th scope="col" className="number">
                Ran
              </th>
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <tr key={row.id} data-row>
                <th scope="row">
                  <Link
                    {...jobPlace({ source: row.source ?? "", queue: row.queue ?? "", job_id: row.job_id ?? "" })}
                    className="name"
                  >
                    <bdi>#{row.job_id}</bdi>
                  </Link>
                </th>
                <td className="when">{fullTime(row.ts, zone)}</td>
                <td data-name="Queue">
                  <bdi>{row.queue}</bdi>
                </td>
                <td data-name="Attempt">
                  {row.attempt ?? "–"}
                  {row.max_attempts ? ` of ${row.max_attempts} ` : " "}
                  {row.state === "failed" && (
                    <span className="tag" data-tone="error">
                      for good
                    </span>
                  )}
                </td>
                <td data-name="Worker">
                  <bdi>{row.worker ?? "–"}</bdi>
                </td>
                <td className="number" data-name="Ran">
                  {typeof row.run_ms === "number" ? duration(row.run_ms) : "–"}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}
