import type { Attempt, Job } from "../../api/jobs.ts";
import type { Row } from "../../api/types.ts";

/** What a job did for a while. children: it waited for its children. */
export type PhaseKind = "wait" | "children" | "delay" | "run";

/** ms since 1970. isOpen: it goes on; `to` is now, or when it is expected to end. */
export interface Phase {
  kind: PhaseKind;
  /** How long it was by one clock: from and to may be of two computers. null: nobody measured it. */
  measuredMs?: number | null;
  from: number;
  to: number;
  isOpen: boolean;
}

/** One attempt, with what went before it: how long it was delayed, waited and ran. */
export interface Lane {
  n: number;
  /** waiting: it has not begun. */
  outcome: Attempt["outcome"] | "waiting";
  phases: readonly Phase[];
}

const OVER = new Set(["completed", "failed", "removed"]);

/** A job's life in lanes, oldest first. Runs are the attempts' own times; what lies between is told by the events. */
export function lanesOf(job: Pick<Job, "added_at" | "attempts" | "timeline" | "state">, now: number): Lane[] {
  const events = job.timeline.filter((row) => row.kind === "event");
  const [first] = events;
  let end = job.added_at === null ? Date.parse(first?.ts ?? "") : Date.parse(job.added_at);
  const lanes: Lane[] = [];
  for (const attempt of job.attempts) {
    const started = time(attempt.started) ?? time(attempt.ended) ?? end;
    const phases = gapPhases(end, started, events, false);
    const wait = phases.at(-1);
    if (wait?.kind === "wait") wait.measuredMs = waitOf(attempt, events);
    const ended = time(attempt.ended);
    const isRunning = attempt.outcome === "running" && ended === null;
    const ranTo = ended ?? (isRunning ? Math.max(now, started) : started);
    lanes.push({
      n: attempt.n,
      outcome: attempt.outcome,
      phases: [
        ...phases,
        { kind: "run", measuredMs: attempt.run_ms, from: started, to: Math.max(ranTo, started), isOpen: isRunning },
      ],
    });
    end = Math.max(end, ranTo);
  }
  const last = lanes.at(-1);
  if (!OVER.has(job.state) && last?.outcome !== "running" && !Number.isNaN(end)) {
    const phases = gapPhases(end, Math.max(now, end), events, true);
    if (phases.length > 0) lanes.push({ n: (last?.n ?? 0) + 1, outcome: "waiting", phases });
  }
  return lanes;
}

/** How long an attempt waited, as bridge measured it by Redis's clock; the job's head says the same. */
function waitOf(attempt: Attempt, events: readonly Row[]): number | null {
  return events.find((row) => row.event === "active" && row.attempt === attempt.n)?.wait_ms ?? null;
}

/** How long a phase was, or has been. */
export function lengthOf({ measuredMs, from, to, isOpen }: Phase): number {
  return isOpen ? to - from : (measuredMs ?? to - from);
}

/** What was between two runs: each event there begins a phase, until the next one; one at its start begins it. */
function gapPhases(from: number, to: number, events: readonly Row[], isOpen: boolean): Phase[] {
  if (Number.isNaN(from) || to <= from) return [];
  const phases: Phase[] = [];
  let kind: PhaseKind = "wait";
  let since = from;
  for (const row of events) {
    const at = Date.parse(row.ts);
    const next = kindAfter(row);
    if (next === null || at > to) continue;
    const isAtStart = since === from && at - from <= SLACK_MS;
    if (at > since && next !== kind && !isAtStart) {
      phases.push({ kind, from: since, to: at, isOpen: false });
      since = at;
    }
    if (at >= from - SLACK_MS) kind = next;
  }
  phases.push({ kind, from: since, to, isOpen });
  return phases.filter((phase) => phase.to > phase.from);
}

/** The end of an attempt and the event that tells of it can be a little apart. */
const SLACK_MS = 50;

function kindAfter(row: Row): PhaseKind | null {
  if (row.state === "waiting-children") return "children";
  if (row.event === "delayed" || row.state === "delayed") return "delay";
  if (row.event === "waiting" || row.state === "waiting" || row.state === "prioritized") return "wait";
  return null;
}

function time(ts: string | null): number | null {
  return ts === null ? null : Date.parse(ts);
}

/** The log lines of an attempt. */
export function logsOf(attempt: Attempt, job: Pick<Job, "logs" | "attempts">): readonly Row[] {
  return job.logs.filter((row) => attemptOf(row, job.attempts) === attempt.n);
}

/**
 * The attempt that wrote a line. BullMQ does not say; the bridge names the one it knew of when it read the line, and no
 * line of an attempt has a later time than its end. So one that was read later is of the attempt that ran by then.
 */
function attemptOf(row: Row, attempts: readonly Attempt[]): number {
  const at = Date.parse(row.ts);
  const named = attempts.find(({ n }) => n === row.attempt);
  if (named && (named.ended === null || at <= Date.parse(named.ended))) return named.n;
  const begun = attempts.filter(({ started }) => started !== null && Date.parse(started) <= at);
  return (begun.at(-1) ?? attempts[0])?.n ?? 0;
}

/** How this attempt's error compares with the one before: told only where both failed. */
export function comparedWithBefore(attempt: Attempt, before: Attempt | undefined): "same" | "other" | null {
  if (before === undefined || attempt.error === "" || before.error === "") return null;
  return attempt.error === before.error && attempt.error_type === before.error_type ? "same" : "other";
}
