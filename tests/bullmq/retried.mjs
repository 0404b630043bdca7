// Jobs that all fail for good, and what becomes of them when somebody has retried them.
//   node retried.mjs --redis URL --queue NAME --do fail|remove|work --jobs N [--bad N]
// fail: N jobs fail. remove: the N oldest that wait are removed. work: N jobs end; those numbered below `bad` fail again.
import { connectionTo, loadBullmq, print, readArguments } from './bullmq.mjs';

const args = readArguments({
  queue: { type: 'string' },
  do: { type: 'string' },
  jobs: { type: 'string' },
  bad: { type: 'string', default: '0' },
});
const bullmq = loadBullmq(args.version);
const options = { connection: connectionTo(args.redis), prefix: args.prefix };
const [jobs, bad] = [Number(args.jobs), Number(args.bad)];

class ProviderDown extends Error {
  constructor(number) {
    super(`provider refused order ${number}`);
    this.name = 'ProviderDown';
  }
}

async function charge(job) {
  if (args.do === 'fail' || job.data.number < bad) throw new ProviderDown(job.data.number);
  return { paid: job.data.number };
}

function work() {
  return new Promise((resolve, reject) => {
    let left = jobs;
    const worker = new bullmq.Worker(args.queue, charge, { ...options, concurrency: 4 });
    const ended = () => {
      left -= 1;
      if (left === 0) worker.close().then(resolve, reject);
    };
    worker.on('completed', ended);
    worker.on('failed', ended);
    worker.on('error', reject);
  });
}

const queue = new bullmq.Queue(args.queue, options);
if (args.do === 'fail') {
  await queue.addBulk(Array.from({ length: jobs }, (_, number) => ({ name: 'charge', data: { number } })));
}
if (args.do === 'remove') {
  const waiting = await queue.getWaiting();
  const chosen = waiting.filter((job) => job.data.number >= bad).slice(0, jobs);
  await Promise.all(chosen.map((job) => job.remove()));
} else {
  await work();
}
await queue.close();
print({ done: args.do });
