// As many events as Node and Redis can make: adds trivial jobs in bulk, runs them, and keeps them all.
//   node storm.mjs --redis URL --queue NAME --jobs N [--version 5|6] [--concurrency N]
// Every tenth job fails for good. Ends when all have ended; prints {"jobs","seconds","events_per_second"}.
import { connectionTo, loadBullmq, print, readArguments } from './bullmq.mjs';

const EVENTS_A_JOB = 4; // added, waiting, active, and its end
const BULK = 1000;

const args = readArguments({
  queue: { type: 'string' },
  jobs: { type: 'string' },
  concurrency: { type: 'string', default: '100' },
});
const bullmq = loadBullmq(args.version);
const options = { connection: connectionTo(args.redis), prefix: args.prefix };
const jobs = Number(args.jobs);

const queue = new bullmq.Queue(args.queue, options); // as most apps have it: streams of 10,000 entries
const begun = performance.now();
for (let first = 0; first < jobs; first += BULK) {
  const size = Math.min(BULK, jobs - first);
  await queue.addBulk(Array.from({ length: size }, (_, at) => ({ name: 'storm', data: { fails: (first + at) % 10 === 9 } })));
}
let left = jobs;
await new Promise((resolve, reject) => {
  const work = async (job) => {
    if (job.data.fails) throw new Error('a gust');
    return null;
  };
  const worker = new bullmq.Worker(args.queue, work, {
    ...options, concurrency: Number(args.concurrency), lockDuration: 120_000, // a starved test machine must not stall jobs
  });
  const ended = () => {
    left -= 1;
    if (left === 0) worker.close().then(resolve, reject);
  };
  worker.on('completed', ended);
  worker.on('failed', ended);
  worker.on('error', reject);
});
const seconds = (performance.now() - begun) / 1000;
await queue.close();
print({ jobs, seconds, events_per_second: Math.round((jobs * EVENTS_A_JOB) / seconds) });
