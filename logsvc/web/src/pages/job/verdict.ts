import type { Job } from "../../api/jobs.ts";
import { counted } from "../../format/count.ts";
import { errorWords } from "../../format/text.ts";
import { duration } from "../../format/time.ts";

type Told = Pick<Job, "state" | "attempts" | "max_attempts" | "attempt" | "error" | "error_type" | "timeline" | "runs">;

/** What became of a job, in a sentence. */
export function verdictOf(job: Told): string {
  const tries = Math.max(job.attempt, job.attempts.length);
  const failed = job.attempts.filter(({ outcome }) => outcome === "failed").length;
  const last = job.attempts.at(-1);
  const ofMost = job.max_attempts > 1 ? ` of ${job.max_attempts}` : "";
  switch (job.state) {
    case "failed":
      if (tries <= 1)
        return job.max_attempts > 1 ? `Failed for good at its first attempt${ofMost}.` : "Failed at its only attempt.";
      return `Failed for good after ${tries} attempts${job.max_attempts > tries ? ofMost : ""}.`;
    case "completed": {
      const ran = last?.run_ms === null || last?.run_ms === undefined ? "" : ` in ${duration(last.run_ms)}`;
      return failed === 0 ? `Completed${ran}.` : `Completed${ran}, after ${counted(failed, "failed attempt")}.`;
    }
    case "active":
      return tries > 1 ? `Running now, attempt ${tries}${ofMost}.` : "Running now.";
    case "retrying":
      return `Attempt ${tries}${ofMost} failed; it will be tried again.`;
    case "delayed":
      return failed > 0 ? `Delayed after ${counted(failed, "failed attempt")}.` : "Delayed: its time has not come.";
    case "waiting-children":
      return "Waiting for its children.";
    case "stalled":
      return "Stalled: its worker stopped renewing the lock. Another worker takes it up.";
    case "removed":
      return "Removed from Redis. This is what Tocsin has kept of it.";
    case "waiting":
    case "prioritized":
      return failed > 0
        ? `Waiting to be tried again, after ${counted(failed, "failed attempt")}.`
        : "Waiting for a worker.";
    default:
      return "Its state is not known.";
  }
}

/** The error that matters now: of a job that went well in the end, or has yet to begin, none. */
export function errorOf(job: Told): string {
  return job.state === "completed" ? "" : errorWords(job);
}
