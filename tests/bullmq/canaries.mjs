// Puts one secret wherever an app can put one, in jobs that complete, fail, are retried, are scheduled and stay.
//   node canaries.mjs --redis URL --secret TEXT [--version 5|6] [--queue NAME]
// Ends when every job that can run has run; prints {"jobs": N, "shapes": M}. For each shape that an object takes in a text
// a job named "shape" fails with it, logs it, and has it in its data.
import { inspect } from 'node:util';
import { connectionTo, loadBullmq, print, readArguments } from './bullmq.mjs';

const args = readArguments({ secret: { type: 'string' }, queue: { type: 'string', default: 'canaries' } });
const bullmq = loadBullmq(args.version);
const connection = connectionTo(args.redis);
const { prefix, secret } = args;
const options = { connection, prefix };
const queue = new bullmq.Queue(args.queue, options);

// What apps make of an object in a text.
const answer = { id: 'a', credentials: { id: 'a', value: secret }, tokens: ['x', secret], cookies: new Map([['sid', secret]]) };
const pem = `-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n${secret}\n-----END PRIVATE KEY-----`;
const shapes = [
  `400 from API: ${JSON.stringify({ credentials: { id: 'a', value: secret } })}`,
  `oops ${JSON.stringify({ tokens: [secret, 'b'] })}`,
  JSON.stringify({ m: `err ${JSON.stringify({ tokens: ['x', secret] })}` }),
  `refused ${inspect(answer, { compact: true, breakLength: Infinity })}`,
  inspect(answer, { compact: false }),
  inspect({ config: { headers: Object.assign(Object.create(null), { 'set-cookie': [`sid=${secret}`] }), privateKey: pem } }),
  `${JSON.stringify({ a: 1 })}\n${JSON.stringify({ tokens: [secret] })}`,
  JSON.stringify(answer).slice(0, JSON.stringify(answer).indexOf(secret) + secret.length),
  `got {"p\\u0061ssword":"${secret}"}`,
  `sent ${JSON.stringify([{ name: 'x-api-key', value: secret }])} to it`,
  `<password><![CDATA[${secret}]]></password>`,
  `--b\r\nContent-Disposition: form-data; name="password"\r\n\r\n${secret}\r\n--b--`,
];

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
  shapes,
};

class LoginError extends Error {
  name = 'LoginError';
}

// Its stack tells the cause too, over several lines.
function failure(shape) {
  const error = new LoginError(shape);
  error.stack += `\nCaused by: Error: bad key ${pem}\n    at load (/app/keys.js:1:2)\n${inspect(answer, { compact: false })}`;
  return error;
}

async function work(job) {
  if (job.name === 'shape') {
    await job.log(shapes[job.data.shape]);
    throw failure(shapes[job.data.shape]);
  }
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
for (const shape of shapes.keys()) await queue.add('shape', { shape, told: shapes[shape] });
await queue.upsertJobScheduler('nightly', { every: 3_600_000 }, { name: 'scheduled', data });

const worker = new bullmq.Worker(args.queue, work, options);
const awaited = 3 + shapes.length; // the scheduler's first job runs at once
let ended = 0;
const all = new Promise((resolve, reject) => {
  const one = () => { if (++ended === awaited) resolve(); };
  worker.on('completed', one);
  worker.on('failed', (job) => { if (job.attemptsMade === (job.opts.attempts || 1)) one(); });
  setTimeout(() => reject(new Error(`${ended} of ${awaited} jobs ended`)), 60_000).unref();
});
await all;
await worker.close();
await queue.close();
print({ jobs: ended, shapes: shapes.length });
