// What a job goes through when its worker dies, its child fails or somebody retries it by hand; and the truth about it.
//   node mishaps.mjs --version 5.0|5.40|5|6 --redis URL --truth FILE [--prefix bull] [--jobs N]
// Makes N jobs of each kind, sees them end, prints one JSON line. A worker dies by SIGKILL: it is a process of its own,
// this program with --victim.
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { connectionTo, loadBullmq, print, readArguments } from './bullmq.mjs';
import { processorOf } from './processor.mjs';
import { Truth } from './truth.mjs';

const LOCK_MS = 1000;
const BACKOFF = { type: 'fixed', delay: 50 };
const FAILURE = 'card-declined';

// queue: stalls and ends well, stalls out (its workers allow no stall), and the rest.
const KINDS = {
  stalled: { queue: 'stalled', fails: 0, opts: { attempts: 3 } },
  'stalled-after-failure': { queue: 'stalled', fails: 1, opts: { attempts: 3, backoff: BACKOFF } },
  'stalled-out': { queue: 'stalled-out', fails: 0, opts: { attempts: 3 } },
  'stalled-out-after-failures': { queue: 'stalled-out', fails: 2, opts: { attempts: 4 } },
  'retried-by-hand': { queue: 'by-hand', fails: 2, opts: { attempts: 2 } },
  'retried-by-hand-in-vain': { queue: 'by-hand', fails: 4, opts: { attempts: 3, backoff: BACKOFF } },
};

const args = readArguments({
  truth: { type: 'string' }, jobs: { type: 'string', default: '3' }, victim: { type: 'string' },
});
const bullmq = loadBullmq(args.version);
const shared = { connection: connectionTo(args.redis), prefix: args.prefix };
const truth = new Truth();
const errors = [];
const noteError = (error) => errors.push(String(error?.message ?? error));

function startWorker(queue, name, run, more = {}) {
  const worker = new bullmq.Worker(queue, run, {
    ...shared, name, concurrency: 50, lockDuration: LOCK_MS, stalledInterval: 200, drainDelay: 1, ...more,
  });
  worker.on('error', noteError);
  return worker;
}

/** A worker that fails each job as planned and hangs at the run after that; it tells its parent of both. */
function beVictim(queue) {
  const worker = startWorker(queue, 'victim', async (job, token) => {
    const { fails } = job.data.plan;
    if (job.attemptsMade >= fails) {
      process.send({ hangs: job.id, n: job.attemptsMade + 1 });
      await new Promise(() => {});
    }
    try {
      await processorOf(bullmq, queue, truth, () => worker)(job, token);
    } finally {
      process.send({ failed: job.id, record: truth.of(queue, job) });
    }
  });
}

/** Let a worker of this queue die with all its jobs; their locks expire soon after. */
async function killWorkerOf(queue, jobs) {
  const child = fork(fileURLToPath(import.meta.url), [...process.argv.slice(2), `--victim=${queue.name}`]);
  const hanging = new Set();
  await new Promise((resolve) => {
    child.on('message', ({ hangs, n, failed, record }) => {
      if (failed) Object.assign(truth.of(queue.name, jobs.get(failed)), record);
      if (!hangs) return;
      truth.of(queue.name, jobs.get(hangs)).starts.push(n);
      hanging.add(hangs);
      if (hanging.size === jobs.size) resolve();
    });
  });
  const gone = new Promise((resolve) => child.on('exit', resolve));
  child.kill('SIGKILL');
  await gone;
}

/** Note ends until `count` jobs of the queue have ended for good. */
function watchEnds(worker, queue, count, onFailed = async () => false) {
  let left = count;
  return new Promise((resolve) => {
    const end = (job, state, fields) => {
      truth.end(truth.of(queue, job), state, fields);
      left -= 1;
      if (left === 0) resolve();
    };
    worker.on('completed', (job, result) => end(job, 'completed', { returnvalue: JSON.stringify(result) ?? 'null' }));
    worker.on('failed', async (job, error) => {
      if (!job?.finishedOn || (await onFailed(job))) return;
      end(job, 'failed', { failed_reason: error.message });
    });
  });
}

async function addAll(queue) {
  const jobs = [];
  for (const [kind, { fails, opts }] of Object.entries(KINDS).filter(([, { queue: name }]) => name === queue.name)) {
    for (let number = 1; number <= Number(args.jobs); number += 1) {
      const plan = { kind, fails, number, failure: FAILURE, result: number };
      jobs.push(await queue.add(kind, { plan }, opts));
    }
  }
  jobs.forEach((job) => truth.of(queue.name, job));
  return new Map(jobs.map((job) => [job.id, job]));
}

const open = (name) => new bullmq.Queue(name, { ...shared, streams: { events: { maxLen: 1_000_000 } } });

/** Note that BullMQ failed a job without calling its processor. `n`: the attempt it was, else as BullMQ counts. */
async function endUnrun(queue, job, n) {
  while ((await job.getState()) !== 'failed') await new Promise((resolve) => setTimeout(resolve, 50));
  const { failedReason, attemptsMade } = await bullmq.Job.fromId(queue, job.id);
  const record = truth.of(queue.name, job);
  record.attempts.push({
    n: n ?? attemptsMade, outcome: 'failed', error: failedReason, error_name: null, error_key: 'not-run',
    unrecoverable: true, worker: null, started: 0, ended: 0,
  });
  truth.end(record, 'failed', { failed_reason: failedReason });
}

async function stalled() {
  const queue = open('stalled');
  const jobs = await addAll(queue);
  await killWorkerOf(queue, jobs);
  const worker = startWorker(queue.name, 'saviour', (job, token) =>
    processorOf(bullmq, queue.name, truth, () => worker)(job, token), { maxStalledCount: 5 });
  await watchEnds(worker, queue.name, jobs.size);
  return [worker, queue];
}

/** The stall checker fails the jobs: in old versions no worker's event tells of it, in none its processor is called. */
async function stalledOut() {
  const queue = open('stalled-out');
  const jobs = await addAll(queue);
  await killWorkerOf(queue, jobs);
  const worker = startWorker(queue.name, 'saviour', () => {
    throw new Error('a job was run that stalled too often');
  }, { maxStalledCount: 0 });
  for (const job of jobs.values()) await endUnrun(queue, job, job.data.plan.fails + 1);
  return [worker, queue];
}

async function byHand() {
  const queue = open('by-hand');
  const jobs = await addAll(queue);
  const retried = new Set();
  const worker = startWorker(queue.name, 'steady', (job, token) =>
    processorOf(bullmq, queue.name, truth, () => worker)(job, token));
  await watchEnds(worker, queue.name, jobs.size, async (job) => {
    if (retried.has(job.id)) return false;
    retried.add(job.id);
    truth.of(queue.name, job).retries_by_hand += 1;
    await (await bullmq.Job.fromId(queue, job.id)).retry('failed');
    return true;
  });
  return [worker, queue];
}

/** Parents never run: old versions fail them where they are, newer ones let a worker do it. */
async function childFailed() {
  const queue = open('parents');
  const children = open('children');
  const flows = new bullmq.FlowProducer(shared);
  const parents = [];
  for (let number = 1; number <= Number(args.jobs); number += 1) {
    const plan = { kind: 'child-failed', fails: 0, number, failure: FAILURE, result: number };
    const child = { name: 'child', queueName: 'children', data: { plan: { ...plan, kind: 'child', fails: 1 } } };
    const { job } = await flows.add({
      name: 'parent', queueName: 'parents', data: { plan }, children: [{ ...child, opts: { failParentOnFailure: true } }],
    });
    truth.of(queue.name, job);
    parents.push(job);
  }
  const worker = startWorker('children', 'nurse', (job, token) =>
    processorOf(bullmq, 'children', truth, () => worker)(job, token));
  const above = startWorker('parents', 'nurse', () => {
    throw new Error('a parent was run whose child had failed');
  });
  await watchEnds(worker, 'children', parents.length);
  for (const job of parents) await endUnrun(queue, job);
  return [worker, above, flows, queue, children];
}

if (args.victim) {
  beVictim(args.victim);
} else {
  const begun = performance.now();
  const opened = await Promise.all([stalled(), stalledOut(), byHand(), childFailed()]);
  truth.save(args.truth);
  const jobs = truth.records.size;
  print({
    version: bullmq.exactVersion, role: 'both', jobs, added: jobs, ...truth.counts(), stopped: false,
    errors: [...new Set(errors)], seconds: Math.round(performance.now() - begun) / 1000,
  });
  await Promise.all(opened.flat().map((one) => one.close()));
  process.exit(0);
}
