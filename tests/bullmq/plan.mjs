// What the workload will do, decided beforehand from the seed: same arguments, same plan. A job carries its part of the
// plan in its data, so producer and worker may be different processes.
import { FAILURES } from './failures.mjs';

/** Kinds of job and their weights. `thrown-text` is in the mix only when asked for: BullMQ loses what was thrown. */
const WEIGHTS = {
  success: 30,
  'flaky-backoff': 14,
  'flaky-now': 8,
  exhausted: 10,
  'single-try': 4,
  unrecoverable: 5,
  delayed: 7,
  prioritized: 7,
  progress: 5,
  logs: 5,
  postponed: 3,
  'handed-back': 2,
  'rate-limited': 2,
};
export const KINDS = [...Object.keys(WEIGHTS), 'thrown-text'];

const RESULTS = [
  undefined, null, 0, '', false, 42.5, 'done', 'שלום 🌍', [1, 'two', null], { ok: true },
  { html: '<script>alert(1)</script>', nested: { list: [{ deep: 'a/b%c' }] } }, 'x'.repeat(2000),
];
const NAMES = [
  'send mail', 'resize-image', 'invoice:create', 'דואר נכנס', '<img src=x onerror=alert(1)>', '100% "sure"', 'emoji 🚀',
  'sync/stock', "it's",
];
const ODD_IDS = [
  (n) => `שלום ${n}`, (n) => `with space ${n}`, (n) => `50%25-${n}`, (n) => `%${n}%`, (n) => `a:b:${n}`,
  (n) => `x//y/${n}/`, (n) => `"quoted"-${n}`, (n) => `it's-${n}`, (n) => `<script>alert(${n})</script>`,
  (n) => `🚀${n}`, (n) => `?x=${n}&y=1#z`, (n) => `back\\slash-${n}`, (n) => `tab\t${n}`,
  (n) => `${'long'.repeat(50)}-${n}`,
];

const PROGRESS = [
  [25, 50, 100], [{ pct: 50, step: 'resize' }, { pct: 100 }], [1, { note: 'חצי' }, 'last'],
];
const logLines = (number) => [
  `started order ${number}`,
  `[ERROR] gateway answered ${500 + (number % 5)} for order ${number}`,
  JSON.stringify({ level: 'warn', msg: 'slow query', ms: number % 900, html: '<b>bold</b>' }),
  `שורה ${number} with <script>alert(1)</script>`,
];

/** A job is named after what it does, as in an app: one way to fail belongs to one name, so it is one fingerprint. */
function nameOf(kind, failure) {
  if (kind === 'unrecoverable') return 'cancel order';
  return NAMES[Object.keys(FAILURES).indexOf(failure) % NAMES.length];
}

/** Numbers in [0, 1) from a seed (mulberry32). */
function randomFrom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/**
 * Plan `jobs` jobs over `queues`: [{queue, name, data: {plan}, opts}], in the order they are added.
 * Every kind comes once before chance begins. Jobs of the queue `ephemeral` are removed as they end.
 */
export function planJobs({ jobs, queues, seed, ephemeral, without, thrownText, workMs }) {
  const random = randomFrom(seed);
  const whole = (from, to) => from + Math.floor(random() * (to - from + 1));
  const pick = (list) => list[Math.floor(random() * list.length)];
  const weights = Object.entries({ ...WEIGHTS, ...(thrownText ? { 'thrown-text': 3 } : {}) });
  const mix = weights.filter(([kind]) => !without.includes(kind));
  const all = mix.reduce((sum, [, weight]) => sum + weight, 0);
  const chance = () => {
    let left = random() * all;
    return (mix.find(([, weight]) => (left -= weight) < 0) ?? mix[0])[0];
  };
  return Array.from({ length: jobs }, (_, index) => {
    const kind = index < mix.length ? mix[index][0] : chance();
    const number = whole(1000, 99999);
    const plan = { kind, number, runMs: whole(0, workMs), failure: pick(Object.keys(FAILURES)), result: pick(RESULTS) };
    const backoff = { type: 'fixed', delay: whole(50, 200) };
    const odd = index % 2;
    const [special, opts] = {
      'flaky-backoff': () => [{ fails: whole(1, 2) }, { attempts: 3, backoff }],
      'flaky-now': () => [{ fails: whole(1, 2) }, { attempts: 3 }],
      exhausted: () => [{ fails: 3 }, odd ? { attempts: 3, backoff } : { attempts: 3 }],
      'single-try': () => [{ fails: 1 }, {}],
      unrecoverable: () => [
        { fails: 5, unrecoverableAt: whole(1, 2) }, odd ? { attempts: 5, backoff } : { attempts: 5 },
      ],
      'thrown-text': () => [{ fails: 3, text: true }, { attempts: 3 }],
      delayed: () => [{}, { delay: whole(50, 1500) }],
      prioritized: () => [{}, { priority: whole(1, 20) }],
      postponed: () => [{ postponeMs: whole(30, 120), fails: odd }, { attempts: 2 }],
      'handed-back': () => [{ handBack: true, fails: odd }, { attempts: 2 }],
      'rate-limited': () => [{ limitMs: whole(5, 30), fails: odd }, { attempts: 2 }],
    }[kind]?.() ?? [{}, {}];
    Object.assign(plan, { fails: 0 }, special);
    if (kind === 'progress' || random() < 0.1) plan.progress = pick(PROGRESS);
    if (kind === 'logs' || random() < 0.15) plan.logs = logLines(number).slice(0, whole(1, 4));
    if (random() < 0.06) opts.jobId = pick(ODD_IDS)(`${seed}-${index}`);
    const queue = queues[index % queues.length];
    if (queue === ephemeral) Object.assign(opts, { removeOnComplete: true, removeOnFail: true });
    const name = nameOf(kind, plan.failure);
    return { queue, name, data: { plan, order: number, customer: `customer ${number % 100}` }, opts };
  });
}
