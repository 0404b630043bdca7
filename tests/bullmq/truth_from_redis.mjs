// Every job Redis still holds of a queue, as BullMQ itself reads it: one JSON line per job.
//   node truth_from_redis.mjs --version 5.0|5.40|5|6 --redis URL [--prefix bull] --queue NAME
import { loadBullmq, openForReading, print, readArguments } from './bullmq.mjs';

const PAGE = 500;
const args = readArguments({ queue: { type: 'string' } });
const bullmq = loadBullmq(args.version);
const queue = openForReading(bullmq, args.queue, args);
const states = Object.keys(await queue.getJobCounts());
for (const listed of states) {
  for (let from = 0; ; from += PAGE) {
    const jobs = await queue.getJobs([listed], from, from + PAGE - 1, true);
    for (const job of jobs.filter(Boolean)) {
      const state = await job.getState();
      const { logs } = await queue.getJobLogs(job.id);
      print({
        id: job.id, name: job.name, state, added: job.timestamp,
        attempts_made: job.attemptsMade, attempts_started: job.attemptsStarted,
        failed_reason: job.failedReason ?? null, stacktrace: job.stacktrace ?? [],
        returnvalue: state === 'completed' ? JSON.stringify(job.returnvalue) : null, logs,
      });
    }
    if (jobs.length < PAGE) break;
  }
}
await queue.close();
process.exit(0);
