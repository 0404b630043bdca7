// Puts one secret wherever an app can put one, in jobs that complete, fail, are retried, are scheduled and stay.
//   node canaries.mjs --redis URL --secret TEXT [--version 5|6] [--queue NAME]
// Ends when every job that can run has run; prints {"jobs": N}.
import { connectionTo, loadBullmq, print, readArguments } from './bullmq.mjs';

const args = readArguments({ secret: { type: 'string' }, queue: { type: 'string', default: 'canaries' } });
const bullmq = loadBullmq(args.version);
const connection = connectionTo(args.redis);
const { prefix, secret } = args;
const options = { connection, prefix };
const queue = new bullmq.Queue(args.queue, options);

const nested = { customer: { cards: [{ cardNumber: secret, cvv: secret }], login: { user: 'ann', password: secret, otpCode: secret, userPIN: secret } } };
const data = {
  ...nested,
  text: JSON.stringify({ deep: JSON.stringify({ apiKey: secret }), list: [{ token: secret }] }),
  headers: { Authorization: `Bearer ${secret}`, cookie: `sid=${secret}` },
  credentials: { all: [secret, { of: [secret] }], text: JSON.stringify({ them: [secret] }) },
  pairs: [{ name: 'X-Api-Key', value: secret }],
  url: `postgres://app:${secret}@db.internal/app`,
  command: `curl -H "Authorization: Bearer ${secret}" --password ${secret} https://api.internal`,
  env: `DB_PASS=${secret}\nSECRET_KEY="${secret}"`,
};

class LoginError extends Error {
  name = 'LoginError';
}

async function work(job) {
  await job.log(`[ERROR] login with password=${secret} refused`);
  await job.log(JSON.stringify({ level: 50, msg: 'refused', req: { headers: { authorization: `Bearer ${secret}` } } }));
  await job.log(`{"broken json, "token": "${secret}"`);
  await job.updateProgress({ step: 1, token: secret, inner: JSON.stringify({ secret }) });
  if (job.name === 'fails') throw new LoginError(`connect postgres://app:${secret}@db failed: {"password":"${secret}"}`);
  return { ok: true, secrets: [[secret]], session: { accessKey: secret, text: JSON.stringify({ passphrase: secret }) } };
}

await queue.add('completes', data);
await queue.add('fails', data, { attempts: 2, backoff: { type: 'fixed', delay: 50 } });
await queue.add('waits for ever', data, { delay: 3_600_000 });
await queue.upsertJobScheduler('nightly', { every: 3_600_000 }, { name: 'scheduled', data });

const worker = new bullmq.Worker(args.queue, work, options);
let ended = 0;
const all = new Promise((resolve, reject) => {
  const one = () => { if (++ended === 3) resolve(); }; // the scheduler's first job runs at once
  worker.on('completed', one);
  worker.on('failed', (job) => { if (job.attemptsMade === 2) one(); });
  setTimeout(() => reject(new Error(`${ended} of 3 jobs ended`)), 60_000).unref();
});
await all;
await worker.close();
await queue.close();
print({ jobs: ended });
