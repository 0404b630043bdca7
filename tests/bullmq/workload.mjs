// Adds jobs to real BullMQ queues, processes them, and writes down the truth about each.
//   node workload.mjs --version 5.0|5.40|5|6 --redis URL --jobs N --queues a,b,c --truth FILE [--seed S] [--prefix bull]
//     [--role produce|work|both] [--events-maxlen N] [--rate JOBS_PER_SECOND] [--ephemeral QUEUE] [--concurrency N]
//     [--workers N] [--work-ms MAX] [--without KIND,KIND] [--thrown-text] [--timeout SECONDS] [--cluster]
// Ends when all N jobs are terminal (produce: when all are added) and prints one JSON line: exit code 0; 1 when the
// timeout passed. SIGTERM ends it early: what is running finishes, the truth so far is written, exit code 0.
import { setTimeout as pause } from 'node:timers/promises';
import { connectionTo, loadBullmq, print, readArguments } from './bullmq.mjs';
import { KINDS, planJobs } from './plan.mjs';
import { processorOf } from './processor.mjs';
import { Truth } from './truth.mjs';

const BULK = 200;
const LOCK_MS = 120_000; // a busy test machine must not make jobs stall

const args = readArguments({
  jobs: { type: 'string' },
  queues: { type: 'string' },
  seed: { type: 'string', default: '1' },
  role: { type: 'string', default: 'both' },
  'events-maxlen': { type: 'string', default: '1000000' },
  rate: { type: 'string' },
  truth: { type: 'string' },
  ephemeral: { type: 'string' },
  concurrency: { type: 'string', default: '8' },
  workers: { type: 'string', default: '1' },
  'work-ms': { type: 'string', default: '10' },
  without: { type: 'string', default: '' },
  'thrown-text': { type: 'boolean', default: false },
  timeout: { type: 'string', default: '300' },
});
const without = args.without.split(',').filter(Boolean);
const mistakes = [
  !args.jobs && '--jobs is required',
  !args.queues && '--queues is required',
  !args.truth && '--truth is required',
  !['produce', 'work', 'both'].includes(args.role) && '--role must be produce, work or both',
  ...without.map((kind) => !KINDS.includes(kind) && `--without: unknown kind ${kind}`),
].filter(Boolean);
if (mistakes.length) {
  process.stderr.write(`${mistakes.join('\n')}\n`);
  process.exit(2);
}

const bullmq = loadBullmq(args.version);
const connection = connectionTo(args.redis, args);
const queues = args.queues.split(',');
const total = Number(args.jobs);
const truth = new Truth(args.ephemeral);
const errors = [];
const stop = new AbortController();
process.on('SIGTERM', () => stop.abort());
process.on('SIGINT', () => stop.abort());
const noteError = (error) => errors.push(String(error?.message ?? error));

async function produce() {
  const plan = planJobs({
    jobs: total, queues, seed: Number(args.seed), ephemeral: args.ephemeral, without,
    thrownText: args['thrown-text'], workMs: Number(args['work-ms']),
  });
  const streams = { events: { maxLen: Number(args['events-maxlen']) } };
  const open = new Map(queues.map((name) => [name, new bullmq.Queue(name, { connection, prefix: args.prefix, streams })]));
  for (const queue of open.values()) {
    queue.on('error', noteError);
    await queue.waitUntilReady();
  }
  const note = (jobs) => jobs.forEach((job) => truth.of(job.queueName, job));
  const begun = performance.now();
  let added = 0;
  while (added < plan.length && !stop.signal.aborted) {
    const due = args.rate ? Math.floor(((performance.now() - begun) / 1000) * Number(args.rate)) + 1 : plan.length;
    const batch = plan.slice(added, Math.min(due, added + BULK));
    for (const [name, queue] of open) {
      const mine = batch.filter((job) => job.queue === name);
      if (mine.length) note(await queue.addBulk(mine.map(({ name, data, opts }) => ({ name, data, opts }))));
    }
    added += batch.length;
    if (args.rate && added < plan.length) await pause(5);
  }
  await Promise.all([...open.values()].map((queue) => queue.close()));
  return added;
}

function startWorkers(allEnded) {
  const each = Array.from({ length: Number(args.workers) }, (_, index) => (index ? `worker-${index + 1}` : 'worker'));
  return queues.flatMap((name) => each.map((called) => {
    const worker = new bullmq.Worker(name, processorOf(bullmq, name, truth, () => worker), {
      connection, prefix: args.prefix, concurrency: Number(args.concurrency),
      lockDuration: LOCK_MS, stalledInterval: LOCK_MS,
      name: name === args.ephemeral ? undefined : `${name}-${called}`, // one queue's workers have no name
    });
    const end = (job, state, fields) => {
      truth.end(truth.of(name, job), state, fields);
      if (truth.terminal >= total) allEnded();
    };
    worker.on('error', noteError);
    worker.on('completed', (job, result) => end(job, 'completed', { returnvalue: JSON.stringify(result) ?? 'null' }));
    worker.on('failed', (job, error) => {
      // Only the last failure sets finishedOn. BullMQ stores the text "null" for what has no message.
      if (job?.finishedOn) end(job, 'failed', { failed_reason: error?.message ?? 'null' });
    });
    return worker;
  }));
}

const begun = performance.now();
let timedOut = false;
const deadline = setTimeout(() => {
  timedOut = true;
  stop.abort();
}, Number(args.timeout) * 1000);

let allEnded = () => {};
const ended = new Promise((resolve) => {
  allEnded = resolve;
  stop.signal.addEventListener('abort', resolve);
});
const workers = args.role === 'produce' ? [] : startWorkers(allEnded);
const added = args.role === 'work' ? 0 : await produce();
if (workers.length && total > 0) await ended;
await Promise.all(workers.map((worker) => worker.close()));
clearTimeout(deadline);
truth.save(args.truth);
print({
  version: bullmq.exactVersion, role: args.role, jobs: total, added, ...truth.counts(),
  stopped: stop.signal.aborted, errors: [...new Set(errors)], seconds: Math.round(performance.now() - begun) / 1000,
});
if (timedOut) process.stderr.write(`only ${truth.terminal} of ${total} jobs ended within ${args.timeout} s\n`);
process.exit(timedOut ? 1 : 0);
