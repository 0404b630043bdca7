import { useMutation, useQueries } from "@tanstack/react-query";
import { useState, type ReactNode } from "react";

import { act, retryWithin, type ActionResult, type ActionWish } from "../../api/actions.ts";
import type { Progress } from "../../api/client.ts";
import { serverNow } from "../../api/clock.ts";
import type { ErrorDetail, ErrorPlace } from "../../api/errors.ts";
import { mayPass } from "../../api/patience.ts";
import { count, counted } from "../../format/count.ts";
import { onlyOf, outcomeOf } from "../../parts/actionWords.ts";
import { ActionError } from "../../parts/ActionError.tsx";
import { ConfirmDialog } from "../../parts/ConfirmDialog.tsx";
import type { Range } from "../../parts/timeRange.ts";
import { useRequest } from "../../parts/useRequest.ts";
import { Working } from "../../parts/Working.tsx";
import { EnvBadge } from "../../shell/EnvBadge.tsx";
import { useEnvs } from "../../shell/envs.ts";
import { useAftermath, type Retried } from "./aftermath.ts";
import { toSend, withAnswer, type Outcome } from "./sending.ts";

interface RetryGroupProps {
  group: ErrorDetail;
  range: Range;
  close: () => void;
}

/**
 * Retries what has failed with one error, queue by queue: each is counted first, by the bridge and now, and can be left
 * out; afterwards it says how the retried jobs ended. Sent again after an error, nothing is done twice, and nothing more
 * than was confirmed.
 */
export function RetryGroup({ group, range: shown, close }: RetryGroupProps): ReactNode {
  const request = useRequest();
  const envs = useEnvs();
  const [since] = useState(group.last_seen);
  const [places] = useState(group.places);
  const [range] = useState(shown);
  const [openedAt] = useState(() => serverNow());
  const wishFor = (place: ErrorPlace): ActionWish => retryWithin(range, openedAt, group.fingerprint, place);
  const [left, setLeft] = useState<ReadonlySet<ErrorPlace>>(
    () => new Set(places.filter(({ env }) => envs.length > 0 && !envs.includes(env))),
  );
  const toggle = (place: ErrorPlace): void =>
    setLeft(new Set(left.has(place) ? [...left].filter((one) => one !== place) : [...left, place]));

  const partOf = (place: ErrorPlace): string => `-${places.indexOf(place)}`;
  const plans = useQueries({
    queries: places.map((place) => request.dryRun((asking) => act(wishFor(place), asking), partOf(place))),
  });
  const isCounting = plans.some((plan) => plan.isPending || plan.isFetching);
  const uncounted = plans.filter(({ error }) => error !== null && mayPass(error));
  const found = (place: ErrorPlace): number => plans[places.indexOf(place)]?.data?.count ?? 0;
  const chosen = places.filter((place) => !left.has(place) && found(place) > 0);
  const total = chosen.reduce((sum, place) => sum + found(place), 0);

  const [outcomes, setOutcomes] = useState<readonly Outcome[]>([]);
  const done = useMutation({
    mutationFn: (sent: readonly ErrorPlace[]) =>
      Promise.all(
        sent.map(async (place) => {
          const answer = await request
            .send((asking) => act(wishFor(place), asking), partOf(place))
            .then((result): Outcome => ({ place, result }))
            .catch((error: Error): Outcome => ({ place, error }));
          setOutcomes((before) => withAnswer(before, answer));
        }),
      ),
  });
  const isSent = !done.isIdle;
  const isDone = done.isSuccess && toSend(chosen, outcomes).length === 0;
  const isReady = !isCounting && total > 0;

  return (
    <ConfirmDialog
      title={isReady && !isSent ? `Retry ${counted(total, "failed job")}?` : "Retry failed jobs"}
      verb={done.isSuccess ? "Send it again" : isReady ? `Retry ${counted(total, "job")}` : null}
      isBusy={done.isPending}
      isDone={isDone}
      error={null}
      confirm={() => done.mutate(toSend(chosen, outcomes))}
      close={close}
      tryAgain={
        uncounted.length > 0 && done.isIdle ? () => uncounted.forEach((plan) => void plan.refetch()) : undefined
      }
      testId="retry-group"
    >
      {!isSent && (
        <p className="quiet">
          Failed jobs with this error go back to waiting and run again. One that fails again will be a new failure.{" "}
          {onlyOf(range)}
        </p>
      )}
      <ul className="retry-places">
        {places.map((place, index) => (
          <RetryPlace
            key={`${place.source}/${place.queue}`}
            place={place}
            plan={plans[index]}
            outcome={outcomes.find((outcome) => outcome.place === place)}
            progress={done.isPending ? request.progress[partOf(place)] : undefined}
            isChosen={!left.has(place)}
            toggle={done.isIdle && places.length > 1 ? () => toggle(place) : undefined}
          />
        ))}
      </ul>
      {group.queue_count > places.length && (
        <p className="quiet">
          It failed in {counted(group.queue_count, "queue")}: these are the {count(places.length)} with most failures.
        </p>
      )}
      {!isCounting && !isSent && total === 0 && uncounted.length === 0 && (
        <p>
          {places.some((place) => found(place) > 0)
            ? "Nothing is chosen: tick where to retry."
            : "There is nothing to retry any more: these jobs were retried, removed, or have left Redis."}
        </p>
      )}
      {done.isSuccess && <Aftermath outcomes={outcomes} since={since} />}
    </ConfirmDialog>
  );
}

interface RetryPlaceProps {
  place: ErrorPlace;
  plan: { data: ActionResult | undefined; error: Error | null } | undefined;
  outcome: Outcome | undefined;
  /** How far it is; undefined: nothing is being done there. */
  progress: Progress | null | undefined;
  isChosen: boolean;
  /** undefined: there is no choice any more. */
  toggle: (() => void) | undefined;
}

function RetryPlace({ place, plan, outcome, progress, isChosen, toggle }: RetryPlaceProps): ReactNode {
  const error = outcome?.error ?? plan?.error;
  return (
    <li className="retry-place">
      <label>
        {toggle && (plan?.data?.count ?? 0) > 0 && <input type="checkbox" checked={isChosen} onChange={toggle} />}
        <bdi className="name">{place.queue}</bdi>
        <EnvBadge env={place.env} />
        <bdi className="quiet">{place.source}</bdi>
        <span className="spread" />
        {progress !== undefined && !outcome?.result && <Working progress={progress} />}
        <span role="status">
          {outcome?.result
            ? outcomeOf("retry", outcome.result)
            : plan?.data
              ? counted(plan.data.count, "failed job")
              : !error && "counting…"}
        </span>
      </label>
      {error && <ActionError error={error} />}
    </li>
  );
}

/** How the retried jobs ended, as it comes. */
function Aftermath({ outcomes, since }: { outcomes: readonly Outcome[]; since: string }): ReactNode {
  const retried = outcomes.flatMap((outcome) => retriedOf(outcome, since));
  const { completed, failed, followed, unknown } = useAftermath(retried);
  if (followed === 0) return null;
  const all = retried.reduce((sum, { jobIds }) => sum + jobIds.length, 0);
  const open = followed - unknown - completed - failed;
  return (
    <div className="aftermath" role="status" data-testid="aftermath">
      <progress max={followed} value={completed + failed} aria-label="Jobs that have ended" />
      <p>
        {all > followed && `Of the first ${count(followed)}: `}
        <strong>{count(completed)} completed</strong>, {count(failed)} failed again
        {open > 0 && `, ${count(open)} not ended yet`}
        {unknown > 0 && `, of ${count(unknown)} it is not known just now`}.
      </p>
      {open + unknown > 0 && <p className="quiet">You may close this: it goes on without the page.</p>}
    </div>
  );
}

function retriedOf({ place, result }: Outcome, since: string): Retried[] {
  const jobIds = (result?.results ?? []).filter(({ outcome }) => outcome === "done").map(({ job_id }) => job_id);
  return jobIds.length === 0 ? [] : [{ source: place.source, queue: place.queue, jobIds, since }];
}
