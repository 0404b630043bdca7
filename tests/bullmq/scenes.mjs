// Brings one queue into a state that a poll must show, prints {"ready": true}, and stays there until it is ended.
//   node scenes.mjs --redis URL --queue mail --scene overdue [--version 6] [--id x] [--every MS]
import { connectionTo, loadBullmq, print, readArguments } from './bullmq.mjs';

const MINUTE = 60_000;
const args = readArguments({
  queue: { type: 'string' },
  scene: { type: 'string' },
  id: { type: 'string', default: 'poll' },
  every: { type: 'string', default: '3600000' },
});
const connection = connectionTo(args.redis);
const { prefix, queue: name } = args;
const bullmq = loadBullmq(args.version);
const queue = new bullmq.Queue(name, { connection, prefix });

function work(processor, options) {
  return new Promise((resolve, reject) => {
    const worker = new bullmq.Worker(name, processor, { connection, prefix, ...options });
    worker.on('active', resolve);
    worker.on('failed', (_, error) => reject(error));
  });
}

const addAll = (count) => queue.addBulk(Array.from({ length: count }, () => ({ name: 'send', data: {} })));

const SCENES = {
  /** Two delayed jobs are due and no worker is there; a third is not due. */
  async overdue() {
    await queue.add('late', {}, { delay: 1 });
    await queue.add('late too', {}, { delay: 1 });
    await queue.add('later', {}, { delay: 60 * MINUTE });
  },
  /** A worker holds a job for ever, with a lock it must renew every second. */
  async stuck() {
    await queue.add('endless', {});
    await work(() => new Promise(() => {}), { lockDuration: 15_000, stalledInterval: 60 * MINUTE });
  },
  /** Two jobs a minute may begin, by the queue's own limit. */
  async limited() {
    await queue.setGlobalRateLimit(2, MINUTE);
    await queue.setGlobalConcurrency(7);
    await addAll(5);
    await work(async () => {});
  },
  /** Somebody called rateLimit: nothing may begin for a minute. */
  async blocked() {
    await queue.rateLimit(MINUTE);
  },
  /** One job a minute, by a limit that only the worker knows. */
  async 'limited-by-worker'() {
    await addAll(3);
    await work(async () => {}, { limiter: { max: 1, duration: MINUTE } });
  },
  async schedule() {
    const template = { name: 'tick', data: { to: 'all', password: 'hunter2' } };
    await queue.upsertJobScheduler(args.id, { every: Number(args.every), limit: 1000 }, template);
  },
  async 'schedule-cron'() {
    await queue.upsertJobScheduler(args.id, { pattern: '0 3 * * *', tz: 'Europe/Lisbon' }, { name: 'digest' });
  },
  async unschedule() {
    await queue.removeJobScheduler(args.id);
  },
  /** What BullMQ 5 and older call a repeatable job. */
  async repeat() {
    await queue.add('old', {}, { repeat: { pattern: '0 9 * * *', tz: 'Europe/Lisbon' } });
  },
  /** Ten jobs, of which three fail. */
  async work() {
    const added = await addAll(10);
    const failing = new Set(added.slice(0, 3).map((job) => job.id));
    new bullmq.Worker(name, async (job) => {
      if (failing.has(job.id)) throw new Error('no');
    }, { connection, prefix });
  },
};

await SCENES[args.scene]();
print({ ready: true });
