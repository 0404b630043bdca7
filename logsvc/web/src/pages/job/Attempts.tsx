import type { ReactNode } from "react";

import type { Attempt, Job } from "../../api/jobs.ts";
import type { Row } from "../../api/types.ts";
import { counted } from "../../format/count.ts";
import { errorWords, withoutAnsi } from "../../format/text.ts";
import { duration, exactTime, fullTime } from "../../format/time.ts";
import { Ansi } from "../../parts/Ansi.tsx";
import { CopyButton } from "../../parts/CopyButton.tsx";
import { StateBadge } from "../../parts/StateBadge.tsx";
import { useZone } from "../../shell/timeStyle.ts";
import { useNow } from "../../shell/useNow.ts";
import { comparedWithBefore, logsOf } from "./lanes.ts";

/** Every attempt, the newest first, with its own error, stack and log, whatever Redis has forgotten. */
export function Attempts({ job }: { job: Job }): ReactNode {
  const { attempts } = job;
  return (
    <section aria-label="Attempts" className="attempts">
      <h2>{attempts.length === 0 ? "No attempt yet" : counted(attempts.length, "attempt")}</h2>
      {attempts.length > 1 && <p className="attempts-note">Newest first. Each has the error it failed with itself.</p>}
      <ol className="attempt-list" reversed>
        {attempts
          .map((attempt, index) => ({ attempt, before: attempts[index - 1], isNewest: index === attempts.length - 1 }))
          .toReversed()
          .map(({ attempt, before, isNewest }) => (
            <li key={`${attempt.n} ${attempt.started ?? attempt.ended ?? ""}`}>
              <AttemptCard
                attempt={attempt}
                compared={comparedWithBefore(attempt, before)}
                logs={logsOf(attempt, job)}
                mostAttempts={job.max_attempts}
                isNewest={isNewest}
              />
            </li>
          ))}
      </ol>
    </section>
  );
}

interface AttemptCardProps {
  attempt: Attempt;
  compared: "same" | "other" | null;
  logs: readonly Row[];
  mostAttempts: number;
  isNewest: boolean;
}

function AttemptCard({ attempt, compared, logs, mostAttempts, isNewest }: AttemptCardProps): ReactNode {
  const zone = useZone();
  const now = useNow();
  const error = errorWords(attempt);
  return (
    <article className="attempt" data-testid="attempt" data-n={attempt.n} data-outcome={attempt.outcome}>
      <header className="attempt-head">
        <h3>
          Attempt {attempt.n}
          {mostAttempts > 1 && <span className="attempt-of"> of {mostAttempts}</span>}
        </h3>
        <StateBadge state={attempt.outcome} />
        <span className="attempt-facts" title={attempt.started ? fullTime(attempt.started, zone) : undefined}>
          {[
            attempt.run_ms === null ? "" : `ran ${duration(attempt.run_ms)}`,
            attempt.started ? `began ${exactTime(attempt.started, now, zone)}` : "nobody saw it begin",
            attempt.worker && `on ${attempt.worker}`,
          ]
            .filter(Boolean)
            .join(" · ")}
        </span>
      </header>
      {error !== "" && (
        <div className="attempt-error">
          <pre dir="auto" data-testid="attempt-error">
            {withoutAnsi(error)}
          </pre>
          {compared && (
            <span className="attempt-compared" data-other={compared === "other"}>
              {compared === "same" ? "The same error as before" : "Not the error it failed with before"}
            </span>
          )}
        </div>
      )}
      {attempt.outcome === "failed" && error === "" && (
        <p className="attempt-unknown">Its error is not known: the job was gone from Redis before it could be read.</p>
      )}
      {attempt.outcome === "failed" && error !== "" && attempt.stack.length === 0 && (
        <p className="attempts-note">Of its stack nothing is known: the job left Redis before it could be read.</p>
      )}
      {attempt.stack.length > 0 && (
        <details className="attempt-part" open={isNewest}>
          <summary>Stack, newest call first</summary>
          <pre dir="auto" data-testid="attempt-stack">
            {withoutAnsi(attempt.stack.join("\n"))}
          </pre>
          <CopyButton
            icon="copy"
            label="Copy error and stack"
            textOf={() => withoutAnsi([error, ...attempt.stack].join("\n"))}
          />
        </details>
      )}
      {logs.length > 0 && (
        <details className="attempt-part" open={isNewest || attempt.outcome === "failed"}>
          <summary title="BullMQ does not say which attempt wrote a line: it is told by when the line was read">
            {counted(logs.length, "log line")}
          </summary>
          <ol className="attempt-logs" data-testid="attempt-logs">
            {logs.map((row) => (
              <li key={row.id} data-level={row.level}>
                <Ansi text={row.message ?? ""} />
              </li>
            ))}
          </ol>
        </details>
      )}
    </article>
  );
}
