import type { ActionName, ActionResult, ActionWish } from "../api/actions.ts";
import type { Progress } from "../api/client.ts";
import { count, counted } from "../format/count.ts";
import { age } from "../format/time.ts";
import { rangeWords, type Range } from "./timeRange.ts";

/** What a confirmation says. verb: what the button does: "Retry 412 jobs". */
export interface Confirmation {
  title: string;
  consequence: string;
  verb: string;
}

/** Said of a button that a viewer cannot use. */
export const NOT_ALLOWED = "That needs the role operator. An admin can give it: /grant in Telegram";

const VERBS: Readonly<Record<ActionName, string>> = {
  retry: "Retry",
  promote: "Run now",
  remove: "Remove",
  pause: "Pause",
  resume: "Resume",
};

const CONSEQUENCES: Readonly<Record<ActionName, string>> = {
  retry: "Failed jobs go back to waiting and run again. One that fails again will be a new failure.",
  promote: "It does not wait for its time: it runs as soon as a worker is free.",
  remove: "Redis forgets it, with its children and theirs. What Tocsin has kept of it stays.",
  pause: "Workers end what they run and take no new jobs, until somebody resumes the queue.",
  resume: "Workers take jobs again at once.",
};

export function verbOf(action: ActionName): string {
  return VERBS[action];
}

/** Word a confirmation. planned: what a dry run counted; null: that is not known yet. */
export function confirmationOf(
  wish: ActionWish,
  planned: Pick<ActionResult, "count" | "descendants" | "queue"> | null,
): Confirmation {
  const found = planned?.count ?? null;
  const verb = VERBS[wish.action];
  const consequence = CONSEQUENCES[wish.action];
  if (wish.job_ids === undefined && wish.filter === undefined) {
    const now = planned?.queue ? `${consequence} ${nowWords(planned.queue)}` : consequence;
    return { title: `${verb} the queue ${wish.queue}?`, consequence: now, verb: `${verb} ${wish.queue}` };
  }
  const [only] = wish.job_ids ?? [];
  if (only !== undefined && wish.job_ids?.length === 1) {
    return {
      title: `${verb}: job ${only} of ${wish.queue}?`,
      consequence,
      verb: `${verb} 1 job${withDescendants(1, planned?.descendants)}`.replace("now 1", "1"),
    };
  }
  const kind = wish.action === "retry" ? "failed job" : "job";
  const jobs = found === null ? `${kind}s` : counted(found, kind);
  return {
    title: `${verb} ${jobs} of ${wish.queue}?`,
    consequence,
    verb: `${verb} ${counted(found ?? 0, "job")}${withDescendants(found ?? 0, planned?.descendants)}`,
  };
}

function withDescendants(jobs: number, descendants = 0): string {
  return descendants === 0 ? "" : ` and ${jobs === 1 ? "its" : "their"} ${counted(descendants, "descendant")}`;
}

function nowWords({ waiting, active }: { waiting: number; active: number }): string {
  return `Just now ${counted(waiting, "job")} ${waiting === 1 ? "waits" : "wait"} and ${count(active)} ${active === 1 ? "runs" : "run"}.`;
}

/** Said while it is being done: "Working… 40 s, 412 of 25,000". */
export function workingWords(ms: number, progress: Progress | null): string {
  const far = progress === null ? "" : `${count(progress.settled)} of ${count(progress.planned)}`;
  const told = [ms < 2_000 ? "" : age(ms), far].filter((each) => each !== "");
  return `Working… ${told.join(", ")}`.trim();
}

/** Said of a retry of what failed within a range. */
export function onlyOf(range: Range): string {
  return `Only those are meant that failed in ${rangeWords(range)}.`;
}

const OUTCOMES: Readonly<Record<string, string>> = {
  gone: "gone from Redis",
  not_failed: "not failed any more",
  not_delayed: "not delayed any more",
  refused: "refused by BullMQ",
  error: "went wrong",
};

const DONE: Readonly<Record<ActionName, string>> = {
  retry: "put back to waiting",
  promote: "moved to waiting",
  remove: "removed",
  pause: "paused",
  resume: "resumed",
};

/** What became of it: "398 put back to waiting, 11 gone from Redis". */
export function outcomeOf(action: ActionName, { outcomes }: Pick<ActionResult, "outcomes">): string {
  const told = Object.entries(outcomes).filter(([, number]) => number > 0);
  if (told.length === 0) return "Nothing was left to do";
  const isQueue = action === "pause" || action === "resume";
  return told
    .toSorted(([one], [other]) => Number(other === "done") - Number(one === "done"))
    .map(([word, number]) => {
      const words = word === "done" ? DONE[action] : (OUTCOMES[word] ?? word.replaceAll("_", " "));
      return isQueue ? `The queue is ${words}` : `${count(number)} ${words}`;
    })
    .join(", ");
}
