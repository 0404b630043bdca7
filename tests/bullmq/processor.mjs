// What a worker does with a job of the workload: exactly what its plan says, written down as it happens.
import { setTimeout as pause } from 'node:timers/promises';
import { cancelOrder, FAILURES, throwText } from './failures.mjs';

function fail(bullmq, plan, attempt) {
  const number = plan.number + attempt;
  if (plan.text) throwText(number);
  if (plan.unrecoverableAt === attempt) cancelOrder(bullmq.UnrecoverableError, number);
  const failure = FAILURES[plan.failure];
  // A line for each attempt: no two of a job leave the same stack. Functions make fingerprints, so it is one.
  if (attempt === 1) failure(number);
  if (attempt === 2) failure(number);
  if (attempt === 3) failure(number);
  failure(number);
}

/** Hand the job back as its plan says. None of these is an attempt: BullMQ counts a start, but no attempt made. */
async function handBack(bullmq, worker, job, token) {
  const { plan } = job.data;
  if (plan.postponeMs) {
    await job.moveToDelayed(Date.now() + plan.postponeMs, token);
    throw new bullmq.DelayedError();
  }
  if (plan.limitMs || !job.moveToWait) {
    await worker.rateLimit(plan.limitMs ?? 10);
    throw bullmq.Worker.RateLimitError();
  }
  await job.moveToWait(token);
  throw new bullmq.WaitingError();
}

/** A processor for `queue`; `truth` gets each attempt's own outcome, error and times. `workerOf` tells who runs it. */
export function processorOf(bullmq, queue, truth, workerOf) {
  return async (job, token) => {
    const { plan } = job.data;
    const record = truth.of(queue, job);
    record.starts.push(job.attemptsMade + 1);
    if ((plan.postponeMs || plan.handBack || plan.limitMs) && job.attemptsStarted === 1) {
      record.postponed += 1;
      await handBack(bullmq, workerOf(), job, token);
    }
    const attempt = {
      n: job.attemptsMade + 1, outcome: 'completed', error: null, error_name: null, error_key: null, stack: null,
      unrecoverable: false, worker: workerOf().opts.name ?? null, started: Date.now(), ended: 0,
    };
    record.attempts.push(attempt);
    try {
      for (const line of plan.logs ?? []) {
        await job.log(line);
        record.logs.push(line);
      }
      for (const value of plan.progress ?? []) {
        await job.updateProgress(value);
        record.progress.push(JSON.stringify(value));
      }
      if (plan.runMs) await pause(plan.runMs);
      if (attempt.n <= plan.fails) fail(bullmq, plan, attempt.n);
      return plan.result;
    } catch (error) {
      const unrecoverable = error instanceof bullmq.UnrecoverableError;
      const errorKey = unrecoverable ? 'order-cancelled' : plan.text ? 'thrown-text' : plan.failure;
      Object.assign(attempt, {
        outcome: 'failed', error: error.message ?? null, error_name: error.name ?? null, error_key: errorKey, unrecoverable,
        stack: error.stack ?? null,
      });
      throw error;
    } finally {
      attempt.ended = Date.now();
    }
  };
}
