import { useMemo, type ReactNode } from "react";

import { SORTS, useErrors, type ErrorGroup, type Sort } from "../../api/errors.ts";
import { Spark } from "../../charts/Spark.tsx";
import { count, counted } from "../../format/count.ts";
import { ago } from "../../format/time.ts";
import { jobPlace, queuePlace, searchWith } from "../../parts/addresses.ts";
import { FindBox } from "../../parts/FindBox.tsx";
import { rangeFromSearch, rangeWords, searchWithRange, type Range } from "../../parts/timeRange.ts";
import { TableExport } from "../../parts/TableExport.tsx";
import { TimeRangePicker } from "../../parts/TimeRangePicker.tsx";
import { Told } from "../../parts/Told.tsx";
import { Trouble } from "../../parts/Trouble.tsx";
import { When } from "../../parts/When.tsx";
import { EnvBadge } from "../../shell/EnvBadge.tsx";
import { inEnvs, useEnvs } from "../../shell/envs.ts";
import { Bell } from "../../shell/icons.tsx";
import { Link } from "../../shell/Link.tsx";
import type { PageProps } from "../../shell/pages.ts";
import { navigate } from "../../shell/router.ts";
import { useNow } from "../../shell/useNow.ts";
import { ErrorPage } from "./ErrorPage.tsx";
import { changeOf, ERROR_SPANS, failuresOf, finalsOf, SORT_WORDS } from "./words.ts";
import "./errors.css";

const QUEUES_SHOWN = 3;
const USUAL: Range = { span: "24h" };

/** Failures in groups of one cause, or one of them: `errors/<fingerprint>`. */
export function ErrorsPage({ search, rest }: PageProps): ReactNode {
  const [fingerprint] = rest;
  return fingerprint ? <ErrorPage fingerprint={fingerprint} search={search} /> : <ErrorList search={search} />;
}

function ErrorList({ search }: { search: string }): ReactNode {
  const envs = useEnvs();
  const params = useMemo(() => new URLSearchParams(search), [search]);
  const range = rangeFromSearch(search) ?? USUAL;
  const sort = SORTS.find((each) => each === params.get("sort")) ?? "last_seen";
  const q = params.get("q") ?? "";
  const found = useErrors({ envs, q, sort, range });
  const groups = found.data?.pages.flatMap((page) => page.items) ?? [];
  const change = (key: string, value: string): void =>
    navigate("errors", searchWith(search, key, value), { replace: true });

  return (
    <div className="sheet">
      <div className="page-head">
        <h1>Errors</h1>
        <p className="page-sum">
          {found.data &&
            (found.hasNextPage ? `the first ${counted(groups.length, "kind")}` : counted(groups.length, "kind"))}
          {found.data && ` in ${rangeWords(range)}`}
          <Told asOf={found.data?.pages[0]?.as_of} lost={found.data?.pages[0]?.coverage?.events_lost} range={range} />
        </p>
        <FindBox label="Find an error" value={q} change={(value) => change("q", value)} />
        <TimeRangePicker
          range={range}
          spans={ERROR_SPANS}
          choose={(next) => navigate("errors", searchWithRange(search, next), { replace: true })}
        />
        <select
          className="select"
          aria-label="Order"
          value={sort}
          onChange={(event) => change("sort", event.target.value)}
        >
          {SORTS.map((each: Sort) => (
            <option key={each} value={each}>
              {SORT_WORDS[each]}
            </option>
          ))}
        </select>
        <TableExport name="errors" rows={groups} />
      </div>
      {found.error && (
        <Trouble
          what="Errors"
          error={found.error}
          shownSince={found.dataUpdatedAt}
          retry={() => void found.refetch()}
        />
      )}
      {found.isPending && <p className="empty empty-quiet">Looking for failures…</p>}
      {found.data && groups.length === 0 && (
        <div className="empty" data-testid="empty">
          <Bell />
          <h2>{q === "" ? "Nothing has failed" : "No error says that"}</h2>
          <p>
            {q === ""
              ? `No attempt of any job has failed in ${rangeWords(range)}${inEnvs(envs)}.`
              : `No failure in ${rangeWords(range)} has these words in its error, type or job name.`}
          </p>
        </div>
      )}
      {groups.length > 0 && (
        <ul className="groups">
          {groups.map((group) => (
            <GroupRow key={group.fingerprint} group={group} search={search} />
          ))}
        </ul>
      )}
      {found.hasNextPage && (
        <button
          type="button"
          className="button more"
          disabled={found.isFetchingNextPage}
          onClick={() => void found.fetchNextPage()}
        >
          {found.isFetchingNextPage ? "Loading…" : "Show more"}
        </button>
      )}
    </div>
  );
}

function GroupRow({ group, search }: { group: ErrorGroup; search: string }): ReactNode {
  const now = useNow();
  const change = changeOf(group);
  const envs = [...new Set(group.queues.map(({ env }) => env))];
  return (
    <li className="group" data-row data-testid="error-group" data-fingerprint={group.fingerprint}>
      <div className="group-what">
        <Link path={`errors/${encodeURIComponent(group.fingerprint)}`} search={search} className="group-title">
          {group.error_type && <strong>{group.error_type}</strong>} <bdi>{group.error || "no message"}</bdi>
        </Link>
        <p className="group-where">
          {envs.map((env) => (
            <EnvBadge key={env} env={env} />
          ))}
          <bdi>{group.job_name}</bdi>
          {group.queues.slice(0, QUEUES_SHOWN).map(({ source, queue }) => (
            <Link key={`${source}/${queue}`} {...queuePlace(source, queue)}>
              <bdi>{queue}</bdi>
            </Link>
          ))}
          {group.queue_count > QUEUES_SHOWN && <span>and {group.queue_count - QUEUES_SHOWN} more</span>}
          <span className="quiet">
            newest:{" "}
            <Link {...jobPlace(group.sample_job)}>
              <bdi>#{group.sample_job.job_id}</bdi>
            </Link>
          </span>
        </p>
      </div>
      <div className="group-trend">
        <Spark label={`${failuresOf(group)}; ${change.text}`} values={group.trend} bad={group.trend} />
        <span className="tag" data-tone={change.tone}>
          {change.text}
        </span>
      </div>
      <p className="group-count">
        <strong>{count(group.failures)}</strong> <span className="quiet">{finalsOf(group)}</span>
      </p>
      <p className="group-seen">
        <When at={group.last_seen}>{ago(now - Date.parse(group.last_seen))}</When>
        <span className="quiet">
          <When at={group.first_seen}>first {ago(now - Date.parse(group.first_seen))}</When>
        </span>
      </p>
    </li>
  );
}
