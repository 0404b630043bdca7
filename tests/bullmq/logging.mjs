// Jobs that run, log and end as they are told: one JSON object a line on stdin, answered by one on stdout when done.
//   node logging.mjs --redis URL --queue NAME --jobs N [--keep-logs N] [--attempts N]
// {"job":"1","log":["a","b"]} {"job":"1","clear":2} {"job":"1","end":"completed"|"failed"}; {"running":"1"} is printed
// when a job's attempt begins. Ends when stdin does.
import { createInterface } from 'node:readline';
import { connectionTo, loadBullmq, print, readArguments } from './bullmq.mjs';

const LOCK_MS = 120_000; // a busy test machine must not make jobs stall

const args = readArguments({
  queue: { type: 'string' },
  jobs: { type: 'string' },
  'keep-logs': { type: 'string' },
  attempts: { type: 'string', default: '1' },
});
const bullmq = loadBullmq(args.version);
const connection = connectionTo(args.redis);
const running = new Map();

function run(job) {
  return new Promise((resolve, reject) => {
    running.set(job.id, { job, resolve, reject });
    print({ running: job.id });
  });
}

const queue = new bullmq.Queue(args.queue, { connection, prefix: args.prefix });
const worker = new bullmq.Worker(args.queue, run, {
  connection, prefix: args.prefix, concurrency: Number(args.jobs), lockDuration: LOCK_MS, stalledInterval: LOCK_MS,
});
const keepLogs = args['keep-logs'] ? { keepLogs: Number(args['keep-logs']) } : {};
const opts = { attempts: Number(args.attempts), ...keepLogs };
await queue.addBulk(Array.from({ length: Number(args.jobs) }, () => ({ name: 'talk', data: {}, opts })));

for await (const line of createInterface({ input: process.stdin })) {
  const order = JSON.parse(line);
  const { job, resolve, reject } = running.get(order.job);
  for (const text of order.log ?? []) await job.log(text);
  if ('clear' in order) await job.clearLogs(order.clear || undefined);
  if (order.end) {
    const ended = new Promise((done) => worker.once(order.end, done));
    if (order.end === 'completed') resolve(null);
    else reject(new Error('told to fail'));
    await ended;
  }
  print({ done: order.job });
}
await worker.close(true);
await queue.close();
process.exit(0);
