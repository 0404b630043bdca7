import { memo, type ReactNode, type Ref } from "react";

import type { Row } from "../../api/types.ts";
import { ago, clockTime, duration, fullTime } from "../../format/time.ts";
import { Ansi } from "../../parts/Ansi.tsx";
import { Link } from "../../shell/Link.tsx";
import type { TimeStyle } from "../../shell/timeStyle.ts";
import { Highlight } from "./Highlight.tsx";
import { searchOfLine, surroundingsOf } from "../../live/permalink.ts";
import { gapSentence, ONE_LINE, summaryOf, WHOLE } from "../../parts/summary.ts";

interface LineRowProps {
  row: Row;
  ref: Ref<HTMLDivElement> | undefined;
  /** Place in the list, from 0. */
  index: number;
  /** Shown whole, over as many lines of text as it takes. */
  isWrapped: boolean;
  needle: string;
  isCursor: boolean;
  /** About now, in ms since 1970: times of today are written without their day, relative ones as a distance from it. */
  now: number;
  timeStyle: TimeStyle;
  /** Lines of several environments are shown: each says of which it is. */
  hasEnvs: boolean;
  open: (row: Row) => void;
}

/** Element id of a row, for aria-activedescendant. */
export function elementIdOf(rowId: string): string {
  return `line-${encodeURIComponent(rowId)}`;
}

/** One event or log line. Rendered once for as long as it is in view. */
export const LineRow = memo(function LineRow({
  ref,
  row,
  index,
  isWrapped,
  needle,
  isCursor,
  now,
  timeStyle,
  hasEnvs,
  open,
}: LineRowProps): ReactNode {
  const zone = timeStyle === "utc" ? "utc" : "local";
  const summary = summaryOf(row, isWrapped ? WHOLE : ONE_LINE);
  const isGap = row.event === "gap";
  return (
    // The keys of a row (Enter, j, k) are the grid's: see useKeys.
    // oxlint-disable-next-line jsx-a11y/click-events-have-key-events, jsx-a11y/interactive-supports-focus
    <div
      className={isGap ? "line line-gap" : "line"}
      role="row"
      id={elementIdOf(row.id)}
      ref={ref}
      data-index={index}
      aria-rowindex={index + 2}
      aria-selected={isCursor}
      data-testid="live-row"
      data-level={row.level}
      data-kind={row.kind}
      data-id={row.id}
      onClick={() => open(row)}
    >
      <span role="gridcell" className="line-time" title={fullTime(row.ts, zone)}>
        <time dateTime={row.ts}>
          {timeStyle === "relative" ? ago(now - Date.parse(row.ts)) : clockTime(row.ts, now, zone)}
        </time>
      </span>
      <span role="gridcell" className="line-level" data-level={row.level}>
        {row.level}
      </span>
      <span role="gridcell" className="line-queue" title={row.queue || row.service}>
        <bdi>{row.queue || row.service}</bdi>
      </span>
      <span role="gridcell" className="line-job">
        {row.job_name && (
          <bdi className="line-job-name">
            <Highlight text={row.job_name} needle={needle} />
          </bdi>
        )}
        {row.job_id && (
          <bdi className="line-job-id">
            #<Highlight text={row.job_id} needle={needle} />
          </bdi>
        )}
      </span>
      <span role="gridcell" className="line-message" data-data={summary.isData}>
        {isGap ? (
          <>
            {gapSentence(row)} <Rebuilt row={row} />
          </>
        ) : (
          <>
            {summary.verb !== "" && (
              <span className="line-verb" data-tone={summary.tone}>
                {summary.verb}
              </span>
            )}
            {summary.coloured !== "" && needle === "" ? (
              <Ansi text={summary.coloured} />
            ) : (
              <Highlight text={summary.text} needle={needle} />
            )}
          </>
        )}
      </span>
      <span role="gridcell" className="line-facts">
        {hasEnvs && row.env && (
          // Quiet: red is for errors here, and a badge on each line would hide them.
          <bdi className="line-env" title={`Environment ${row.env}`}>
            {row.env}
          </bdi>
        )}
        <RowFacts row={row} />
      </span>
    </div>
  );
});

/** To what the queue told around a gap: what could be rebuilt of it is marked there. */
function Rebuilt({ row }: { row: Row }): ReactNode {
  if (!row.queue) return null;
  return (
    // It is a link of its own in a row that opens by a click.
    // oxlint-disable-next-line jsx-a11y/click-events-have-key-events, jsx-a11y/no-static-element-interactions
    <span onClick={(event) => event.stopPropagation()}>
      <Link path="logs" search={searchOfLine(surroundingsOf(row), row)} className="link-button">
        What was rebuilt
      </Link>
    </span>
  );
}

function RowFacts({ row }: { row: Row }): ReactNode {
  const attempt = row.attempt ?? 0;
  const isBad = row.level !== "info" && row.level !== "debug";
  // The only attempt of a job says nothing.
  const isAttemptTold = attempt > 1 || (attempt === 1 && isBad && (row.max_attempts ?? 0) > 1);
  return (
    <>
      {row.backfill && (
        <span className="fact fact-quiet" title="Happened before Tocsin first looked at this queue">
          backfill
        </span>
      )}
      {row.rebuilt && (
        <span className="fact fact-quiet" title="Recovered from the job itself: the event was lost">
          rebuilt
        </span>
      )}
      {isAttemptTold && (
        <span className="fact" title={`Attempt ${attempt}${row.max_attempts ? ` of ${row.max_attempts}` : ""}`}>
          {attempt}
          {row.max_attempts ? `/${row.max_attempts}` : ""}
        </span>
      )}
      {typeof row.run_ms === "number" && (
        <span className="fact-time" title="Run time">
          {duration(row.run_ms)}
        </span>
      )}
    </>
  );
}
