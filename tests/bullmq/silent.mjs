// Does to a queue what BullMQ tells nobody of, one thing a call. Prints {"ids": […]}: the jobs it made, or touched.
//   node silent.mjs --redis URL --queue NAME --do WHAT [--count N] [--version 5|6]
// add, delay, prioritize, schedule: make jobs; family: a parent and its child, ids in this order. take: make the next ones active, locked for an hour. finish: complete
// those, fail: let them fail; progress, report: the same as take and finish, with a progress of 40. pause, resume: the
// queue. drain, clean, obliterate, replace, reprioritize: change what is there without an event of any job.
import { connectionTo, loadBullmq, print, readArguments } from './bullmq.mjs';

const HOUR = 3_600_000;
const TOKEN = 'a worker of a test';

const args = readArguments({ queue: { type: 'string' }, do: { type: 'string' }, count: { type: 'string', default: '3' }, keep: { type: 'string' } });
const bullmq = loadBullmq(args.version);
const { prefix, queue: name } = args;
const count = Number(args.count);
const connection = connectionTo(args.redis, args);
const queue = new bullmq.Queue(name, { connection, prefix });

const make = async (opts) => {
  const jobs = await queue.addBulk(Array.from({ length: count }, (_, index) => ({ name: 'send', data: { index }, opts })));
  return jobs.map((job) => job.id);
};

const taken = async (work) => {
  const worker = new bullmq.Worker(name, null, { connection, prefix, lockDuration: HOUR });
  const ids = [];
  for (let index = 0; index < count; index += 1) {
    const job = await worker.getNextJob(TOKEN);
    if (!job) throw new Error('no job to take');
    if (work) await work(job);
    ids.push(job.id);
  }
  await worker.close();
  return ids;
};

const keep = args.keep ? JSON.parse(args.keep) : undefined;
const things = {
  add: () => make(keep === undefined ? {} : { removeOnComplete: keep, removeOnFail: keep }),
  delay: () => make({ delay: HOUR }),
  prioritize: () => make({ priority: 10 }),
  family: async () => {
    const flows = new bullmq.FlowProducer({ connection, prefix });
    const child = { name: 'send', queueName: name, data: {} };
    const { job, children } = await flows.add({ name: 'send', queueName: name, data: {}, children: [child] });
    await flows.close();
    return [job.id, children[0].job.id];
  },
  schedule: async () => [(await queue.upsertJobScheduler('nightly', { every: HOUR }, { name: 'send' })).id],
  replace: async () => [(await queue.upsertJobScheduler('nightly', { every: 2 * HOUR }, { name: 'send' })).id],
  take: () => taken(),
  finish: () => taken((job) => job.moveToCompleted('done', TOKEN, false)),
  fail: () => taken((job) => job.moveToFailed(new Error('no'), TOKEN, false)),
  progress: () => taken((job) => job.updateProgress(40)),
  report: () => taken(async (job) => (await job.updateProgress(40), job.moveToCompleted('done', TOKEN, false))),
  pause: async () => (await queue.pause(), []),
  resume: async () => (await queue.resume(), []),
  drain: async () => (await queue.drain(true), []),
  clean: () => queue.clean(0, count, 'wait'),
  obliterate: async () => (await queue.obliterate({ force: true }), []),
  reprioritize: async () => {
    const [job] = [...(await queue.getPrioritized(0, 0)), ...(await queue.getDelayed(0, 0))];
    await job.changePriority({ priority: 3 });
    return [job.id];
  },
};

try {
  print({ ids: await things[args.do]() });
} finally {
  await queue.close();
}
process.exit(0);
