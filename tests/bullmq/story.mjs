// Jobs with a story that the page is to tell, in two queues; nothing of what failed stays in Redis.
//   node story.mjs --redis URL [--version 6] [--orders orders] [--mails mails] [--jobs N]
// Ends when every job that can run has run; prints {"job": id, "parent": id}: the order that failed three times, each
// time in another way, and the order that waited for two mails.
import { connectionTo, loadBullmq, print, readArguments } from './bullmq.mjs';

const args = readArguments({
  orders: { type: 'string', default: 'orders' },
  mails: { type: 'string', default: 'mails' },
  jobs: { type: 'string', default: '20' },
});
const bullmq = loadBullmq(args.version);
const connection = connectionTo(args.redis);
const options = { connection, prefix: args.prefix };
const orders = new bullmq.Queue(args.orders, options);
const mails = new bullmq.Queue(args.mails, options);

class PaymentError extends Error {
  name = 'PaymentError';
}

function chargeCard(attempt) {
  if (attempt === 1) throw new PaymentError('Gateway timed out after 3000 ms');
  if (attempt === 2) throw new TypeError("Cannot read properties of undefined (reading 'total')");
  throw new PaymentError('Card declined: insufficient funds (code 402)');
}

async function workOnOrders(job) {
  if (job.name !== 'charge-card') return { ok: true, total: 42.5 };
  const attempt = job.attemptsMade + 1;
  await job.log(`charging card of order ${job.data.order}, attempt ${attempt}`);
  await job.log('\u001b[33mgateway is slow\u001b[0m, waiting for \u001b[1m3 s\u001b[22m');
  await job.updateProgress({ step: attempt, of: 3 });
  await new Promise((resolve) => setTimeout(resolve, 60 * attempt));
  return chargeCard(attempt);
}

let ended = 0;
const count = Number(args.jobs);
const most = 1 + 3 + 2 * count;
const workers = [
  new bullmq.Worker(args.orders, workOnOrders, options),
  new bullmq.Worker(args.mails, async (job) => {
    await job.log(`sending to ${job.data.to ?? 'everybody'}`);
    if (job.name === 'bounce') throw new Error(`Mailbox ${job.id} is full`);
    return { sent: true };
  }, options),
];
const all = new Promise((resolve, reject) => {
  const one = () => { if (++ended === most) resolve(); };
  for (const worker of workers) {
    worker.on('completed', one);
    worker.on('failed', (job) => { if (job.attemptsMade >= (job.opts.attempts ?? 1)) one(); });
  }
  setTimeout(() => reject(new Error(`${ended} of ${most} jobs ended`)), 60_000).unref();
});

const job = await orders.add(
  'charge-card',
  { order: 4711, customer: 'ann@example.com', items: [{ sku: 'bell-1', price: 42.5 }] },
  { attempts: 3, backoff: { type: 'fixed', delay: 700 }, removeOnFail: true, removeOnComplete: true },
);
const flow = await new bullmq.FlowProducer(options).add({
  name: 'ship-order',
  queueName: args.orders,
  data: { order: 4712 },
  children: ['confirm', 'invoice'].map((name) => ({ name, queueName: args.mails, data: { to: 'ann@example.com' } })),
});
const orderJobs = Array.from({ length: count }, (_, index) => ({ name: 'place-order', data: { order: index } }));
const mailJobs = Array.from({ length: count }, (_, index) => ({ name: index % 5 ? 'welcome' : 'bounce', data: { to: `m${index}` } }));
await orders.addBulk(orderJobs);
await mails.addBulk(mailJobs);
await orders.add('remind', { order: 4711 }, { delay: 3_600_000 });
await mails.upsertJobScheduler('nightly-digest', { pattern: '0 3 * * *' }, { name: 'digest', data: {} });
await all;
await Promise.all(workers.map((worker) => worker.close()));
print({ job: job.id, parent: flow.job.id });
process.exit(0);
