import type { ReactNode } from "react";

import { retryWithin } from "../../api/actions.ts";
import { serverNow } from "../../api/clock.ts";
import { useFailingGroups } from "../../api/errors.ts";
import { Spark } from "../../charts/Spark.tsx";
import { count, counted } from "../../format/count.ts";
import { cut, withoutAnsi } from "../../format/text.ts";
import { ago } from "../../format/time.ts";
import { ActionButton } from "../../parts/ActionButton.tsx";
import { Told } from "../../parts/Told.tsx";
import type { Range } from "../../parts/timeRange.ts";
import { onlyOf } from "../../parts/actionWords.ts";
import { Link } from "../../shell/Link.tsx";
import { useNow } from "../../shell/useNow.ts";

const ERROR_CHARS = 160;

interface FailingProps {
  source: string;
  queue: string;
  /** undefined while it is not known. */
  env: string | undefined;
  range: Range;
}

/** What fails in a queue: failures that are the same failure as one, the most frequent first. */
export function Failing({ source, queue, env, range }: FailingProps): ReactNode {
  const { data, error, isPending, isPlaceholderData } = useFailingGroups(source, queue, range);
  const now = useNow();
  return (
    <section className="panel" aria-label="What fails" data-testid="queue-failing">
      <h2>
        What fails
        <Told asOf={data?.as_of} lost={data?.coverage?.events_lost} range={range} isQuiet />
      </h2>
      {isPending && !error && <p className="panel-quiet">Looking…</p>}
      {error && <p className="panel-quiet">Not known just now: {error.message}.</p>}
      {data?.items.length === 0 && <p className="panel-quiet">Nothing failed in this time.</p>}
      <ul className="panel-list" data-stale={isPlaceholderData}>
        {data?.items.map((group) => (
          <li key={group.fingerprint} className="failing" data-row>
            <Link path={`errors/${encodeURIComponent(group.fingerprint)}`} className="failing-error">
              <bdi>{cut(withoutAnsi(errorWords(group)), ERROR_CHARS)}</bdi>
            </Link>
            <Spark
              label={`${counted(group.failures, "failure")} over the time`}
              values={group.trend}
              bad={group.trend}
            />
            <span className="failing-facts">
              {counted(group.failures, "failed try", "failed tries")}, {count(group.final_failures)} for good
              {group.job_name && ` · ${group.job_name}`} · last {ago(now - Date.parse(group.last_seen))}
              {group.is_new && <strong> · new</strong>}
            </span>
            {group.final_failures > 0 && (
              <ActionButton
                wish={() => retryWithin(range, serverNow(), group.fingerprint, { source, queue })}
                env={env}
                label={`Retry these ${count(group.final_failures)}`}
                note={onlyOf(range)}
                className="button button-small"
              />
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}

function errorWords({ error, error_type }: { error: string; error_type: string }): string {
  const [first = ""] = error.split("\n");
  if (error_type === "" || first.startsWith(error_type)) return first || "An error without words";
  return first === "" ? error_type : `${error_type}: ${first}`;
}
