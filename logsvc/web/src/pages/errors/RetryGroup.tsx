import { useMutation, useQueries, useQueryClient } from "@tanstack/react-query";
import { useState, type ReactNode } from "react";

import { act, newRequestId, retryUntilNow, type ActionResult, type ActionWish } from "../../api/actions.ts";
import { ApiError } from "../../api/client.ts";
import type { ErrorDetail, ErrorPlace } from "../../api/errors.ts";
import { useMe } from "../../api/me.ts";
import { count, counted } from "../../format/count.ts";
import { outcomeOf } from "../../parts/actionWords.ts";
import { Dialog } from "../../shell/Dialog.tsx";
import { EnvBadge } from "../../shell/EnvBadge.tsx";
import { useAftermath, type Retried } from "./aftermath.ts";

interface RetryGroupProps {
  group: ErrorDetail;
  close: () => void;
}

/** What became of one place: an answer, or why there is none. */
interface Outcome {
  place: ErrorPlace;
  result?: ActionResult;
  error?: Error;
}

/**
 * Retries what has failed with one error, queue by queue: each is counted first, by the bridge and now, and can be left
 * out; afterwards it says how the retried jobs ended. Sent again after an error, nothing is done twice.
 */
export function RetryGroup({ group, close }: RetryGroupProps): ReactNode {
  const { data: me } = useMe();
  const queries = useQueryClient();
  const [requestId] = useState(newRequestId);
  const [since] = useState(group.last_seen);
  const [places] = useState(group.places);
  const [openedAt] = useState(() => Date.now());
  const wishFor = (place: ErrorPlace): ActionWish => retryUntilNow(group.fingerprint, place, openedAt);
  const [left, setLeft] = useState<ReadonlySet<ErrorPlace>>(new Set());
  const csrfToken = me?.csrf_token ?? null;

  const plans = useQueries({
    queries: places.map((place, index) => ({
      queryKey: ["dry run", requestId, index],
      queryFn: () => act(wishFor(place), { requestId: `${requestId}-dry-${index}`, isDryRun: true, csrfToken }),
      enabled: me !== undefined,
      retry: false,
      staleTime: Infinity,
      gcTime: 0,
    })),
  });
  const isCounting = plans.some((plan) => plan.isPending);
  const chosen = places.filter((place, index) => !left.has(place) && (plans[index]?.data?.count ?? 0) > 0);
  const total = chosen.reduce((sum, place) => sum + (plans[places.indexOf(place)]?.data?.count ?? 0), 0);

  const done = useMutation({
    mutationFn: () =>
      Promise.all(
        chosen.map(async (place): Promise<Outcome> => {
          const id = `${requestId}-${places.indexOf(place)}`;
          try {
            return { place, result: await act(wishFor(place), { requestId: id, isDryRun: false, csrfToken }) };
          } catch (error) {
            return { place, error: error instanceof Error ? error : new Error(String(error)) };
          }
        }),
      ),
    onSuccess: () => void queries.invalidateQueries({ queryKey: ["audit"] }),
  });
  const hasFailed = done.data?.some(({ error }) => error !== undefined) ?? false;
  const title = isCounting || done.data ? "Retry failed jobs" : `Retry ${counted(total, "failed job")}?`;

  return (
    <Dialog title={title} close={close} isBusy={done.isPending}>
      <div className="dialog-body" data-testid="retry-group">
        {!done.data && (
          <p className="quiet">
            Failed jobs with this error go back to waiting and run again. One that fails again will be a new failure.
          </p>
        )}
        <ul className="retry-places">
          {places.map((place, index) => (
            <RetryPlace
              key={`${place.source}/${place.queue}`}
              place={place}
              plan={plans[index]}
              outcome={done.data?.find((outcome) => outcome.place === place)}
              isChosen={!left.has(place)}
              toggle={
                done.isIdle && places.length > 1
                  ? () =>
                      setLeft(new Set(left.has(place) ? [...left].filter((one) => one !== place) : [...left, place]))
                  : undefined
              }
            />
          ))}
        </ul>
        {!isCounting && !done.data && total === 0 && (
          <p>There is nothing to retry any more: these jobs were retried, removed, or have left Redis.</p>
        )}
        {done.data && <Aftermath outcomes={done.data} since={since} />}
        <div className="dialog-foot">
          <button type="button" className="button" disabled={done.isPending} onClick={close}>
            {done.data && !hasFailed ? "Close" : "Cancel"}
          </button>
          {((!done.data && total > 0) || hasFailed) && (
            <button
              type="button"
              className="button button-go"
              data-testid="retry-confirm"
              disabled={done.isPending || isCounting}
              onClick={() => done.mutate()}
            >
              {done.isPending ? "Working…" : hasFailed ? "Send it again" : `Retry ${counted(total, "job")}`}
            </button>
          )}
        </div>
      </div>
    </Dialog>
  );
}

interface RetryPlaceProps {
  place: ErrorPlace;
  plan: { data: ActionResult | undefined; error: Error | null } | undefined;
  outcome: Outcome | undefined;
  isChosen: boolean;
  /** undefined: there is no choice any more. */
  toggle: (() => void) | undefined;
}

function RetryPlace({ place, plan, outcome, isChosen, toggle }: RetryPlaceProps): ReactNode {
  const error = outcome?.error ?? plan?.error;
  return (
    <li className="retry-place">
      <label>
        {toggle && (plan?.data?.count ?? 0) > 0 && <input type="checkbox" checked={isChosen} onChange={toggle} />}
        <bdi className="name">{place.queue}</bdi>
        <EnvBadge env={place.env} />
        <span className="spread" />
        <span role="status">
          {outcome?.result
            ? outcomeOf("retry", outcome.result)
            : plan?.data
              ? counted(plan.data.count, "failed job")
              : !error && "counting…"}
        </span>
      </label>
      {error && (
        <p className="action-error" role="alert">
          {error.message}.{error instanceof ApiError && error.mend !== "" && ` ${error.mend}.`}
        </p>
      )}
    </li>
  );
}

/** How the retried jobs ended, as it comes. */
function Aftermath({ outcomes, since }: { outcomes: readonly Outcome[]; since: string }): ReactNode {
  const [retried] = useState(() => outcomes.flatMap((outcome) => retriedOf(outcome, since)));
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
