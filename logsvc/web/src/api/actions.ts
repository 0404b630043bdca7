import { rangeParams, type Range } from "../parts/timeRange.ts";
import { apiUrl, sendJson } from "./client.ts";

export type ActionName = "retry" | "promote" | "remove" | "pause" | "resume";

/** Which failed jobs: by all that is given. */
export interface FailedFilter {
  fingerprint?: string;
  name?: string;
  from?: string;
  to?: string;
}

/** What is to be done, to which jobs of which queue; neither ids nor filter: to the queue itself. */
export interface ActionWish {
  action: ActionName;
  source: string;
  queue: string;
  job_ids?: readonly string[];
  filter?: FailedFilter;
  /** Why, for the audit; of a pause it stands beside the queue. */
  reason?: string;
}

export interface ActionResult {
  request_id: string;
  dry_run: boolean;
  /** Jobs acted on, or that would be. */
  count: number;
  outcomes: Readonly<Record<string, number>>;
  results: readonly { job_id: string; outcome: string; message?: string }[];
  /** Of a dry run: jobs that a removal would take along. */
  descendants?: number;
  /** Of a dry run of pause and resume: the queue as it is. */
  queue?: { waiting: number; active: number };
}

/** Ask for an action. The same requestId again does nothing again: so after an error it can be sent once more. */
export function act(
  wish: ActionWish,
  options: { requestId: string; isDryRun: boolean; csrfToken: string | null },
): Promise<ActionResult> {
  const body = { ...wish, request_id: options.requestId, dry_run: options.isDryRun };
  return sendJson<ActionResult>("POST", apiUrl("actions"), body, options.csrfToken);
}

/**
 * Retry what has failed in a queue with one error within a range of time, but not after this moment: what fails while
 * somebody reads the question was not counted, and is not retried.
 */
export function retryWithin(
  range: Range,
  now: number,
  fingerprint: string,
  place: { source: string; queue: string },
): ActionWish {
  const { source, queue } = place;
  const { from, to = String(now) } = rangeParams(range, now);
  const filter = { fingerprint, from: iso(Number(from)), to: iso(Math.min(Number(to), now)) };
  return { action: "retry", source, queue, filter };
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}

/** An id that nobody else uses. `crypto.randomUUID` is there over TLS and on this machine only. */
export function newRequestId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return `web-${[...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}
