// Makes queues in each of which one job has waited longest, and was added an hour before by its own clock. Prints
// {"<queue>": "<id of that job>", …}; the queues are named by how it came to wait. Nothing works on them afterwards.
//   node waiting.mjs --redis URL [--prefix bull] [--version 6]
import { setTimeout as sleep } from 'node:timers/promises';
import { connectionTo, loadBullmq, print, readArguments } from './bullmq.mjs';

const HOUR = 3_600_000;
const TOKEN = 'a worker that is gone';
const args = readArguments({});
const connection = connectionTo(args.redis);
const { prefix } = args;
const bullmq = loadBullmq(args.version);
const opened = [];

function open(library, kind, ...more) {
  const made = new library[kind](...more, { connection, prefix });
  opened.push(made);
  return made;
}

async function take(worker) {
  const job = await worker.getNextJob(TOKEN, { block: false });
  if (!job) throw new Error('a waiting job could not be taken');
  return job;
}

const fail = (job) => job.moveToFailed(new Error('on purpose'), TOKEN, false);
const longAgo = () => ({ timestamp: Date.now() - HOUR });

const WAYS = {
  async delayed(queue, worker) {
    await queue.add('busy', {});
    const job = await queue.add('late', {}, { ...longAgo(), delay: HOUR });
    await sleep(5);
    await take(worker);
    return job;
  },
  async promoted(queue) {
    const job = await queue.add('later', {}, { ...longAgo(), delay: 2 * HOUR });
    await job.promote();
    return job;
  },
  async 'retried-at-once'(queue, worker) {
    await queue.add('again', {}, { ...longAgo(), attempts: 2 });
    const job = await take(worker);
    await fail(job);
    return job;
  },
  async 'retried-with-backoff'(queue, worker) {
    await queue.add('again', {}, { ...longAgo(), attempts: 2, backoff: 1 });
    const job = await take(worker);
    await queue.add('busy', {});
    await fail(job);
    await sleep(5);
    await take(worker);
    return job;
  },
  async 'retried-by-hand'(queue, worker) {
    await queue.add('again', {}, longAgo());
    const job = await take(worker);
    await fail(job);
    await job.retry('failed');
    return job;
  },
  async parent(queue, worker) {
    const flows = open(bullmq, 'FlowProducer');
    const children = [{ name: 'child', queueName: queue.name }];
    const { job } = await flows.add({ name: 'parent', queueName: queue.name, opts: longAgo(), children });
    await (await take(worker)).moveToCompleted('done', TOKEN, false);
    return job;
  },
  async prioritized(queue) {
    const job = await queue.add('starves', {}, { ...longAgo(), priority: 5 });
    await sleep(5);
    await queue.add('fresh', {});
    return job;
  },
  async 'least-priority'(queue) {
    const job = await queue.add('starves', {}, { ...longAgo(), priority: 5 });
    await sleep(5);
    await queue.add('fresh', {}, { priority: 1 });
    return job;
  },
  async lifo(queue) {
    const job = await queue.add('starves', {}, longAgo());
    await sleep(5);
    for (let index = 0; index < 2; index += 1) await queue.add('fresh', {}, { lifo: true });
    return job;
  },
  async 'between-both'(queue) {
    const job = await queue.add('starves', {}, longAgo());
    await sleep(5);
    await queue.add('fresh', {}, { lifo: true });
    await queue.add('fresh', {});
    return job;
  },
  /** What version 5 left in `paused` stays there under version 6, until somebody resumes the queue. */
  async 'paused-by-v5'(queue) {
    const before = open(loadBullmq('5'), 'Queue', queue.name);
    await before.pause();
    const job = await before.add('left', {}, longAgo());
    await sleep(5);
    await open(loadBullmq('6'), 'Queue', queue.name).add('fresh', {});
    return job;
  },
  async scheduled(queue, worker) {
    await queue.upsertJobScheduler('tick', { every: 200 }, { name: 'tick' });
    await take(worker);
    const [job] = await queue.getDelayed();
    await queue.add('busy', {});
    await sleep(job.timestamp + job.delay + 5 - Date.now());
    await take(worker);
    return job;
  },
};

const made = {};
for (const [name, bring] of Object.entries(WAYS)) {
  const queue = open(bullmq, 'Queue', name);
  made[name] = (await bring(queue, open(bullmq, 'Worker', name, null))).id;
}
await Promise.all(opened.map((one) => one.close()));
print(made);
process.exit(0);
