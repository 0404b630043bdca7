// Makes four queues whose every state is non-zero and whose workers are gone: one running and one paused queue on each
// version. Prints, per queue, its name, the version that made it, and BullMQ's own counts.
//   node states.mjs --redis URL [--prefix bull] [--name states] [--versions 6,5]
import { connectionTo, loadBullmq, print, readArguments } from './bullmq.mjs';

const HOUR = 3_600_000;
const TOKEN = 'a worker that was killed';

const args = readArguments({
  name: { type: 'string', default: 'states' }, versions: { type: 'string', default: '6,5' },
});
const connection = connectionTo(args.redis);
const { prefix } = args;

async function take(worker) {
  const job = await worker.getNextJob(TOKEN);
  if (!job) throw new Error('a waiting job could not be taken');
  return job;
}

/** Give the queue the numbers of jobs in `want`, by state; jobs of a flow add their children to waiting. */
async function fill(bullmq, name, want, isPaused) {
  const streams = { events: { maxLen: 1_000_000 } };
  const queue = new bullmq.Queue(name, { connection, prefix, streams });
  const worker = new bullmq.Worker(name, null, { connection, prefix, lockDuration: HOUR });
  const flows = new bullmq.FlowProducer({ connection, prefix });
  const add = (count, state, opts) =>
    queue.addBulk(Array.from({ length: count }, (_, index) => ({ name: `${state} ${index}`, data: { index }, opts })));

  await add(want.completed + want.failed + want.active, 'taken');
  for (let index = 0; index < want.completed; index += 1) {
    await (await take(worker)).moveToCompleted({ index }, TOKEN, false);
  }
  for (let index = 0; index < want.failed; index += 1) {
    await (await take(worker)).moveToFailed(new Error(`failed on purpose ${index}`), TOKEN, false);
  }
  for (let index = 0; index < want.active; index += 1) await take(worker);
  await add(want.delayed, 'delayed', { delay: HOUR });
  await add(want.prioritized, 'prioritized', { priority: 5 });
  await add(want.waiting - want.children - 1, 'waiting');
  for (let index = 0; index < want.children; index += 1) {
    await flows.add({ name: `parent ${index}`, queueName: name, children: [{ name: `child ${index}`, queueName: name }] });
  }
  if (isPaused) await queue.pause();
  await add(1, 'waiting last'); // on a paused queue, v5 puts it elsewhere than v6
  const line = {
    queue: name, version: bullmq.exactVersion, counts: await queue.getJobCounts(), is_paused: await queue.isPaused(),
  };
  await worker.close();
  await flows.close();
  await queue.close();
  return line;
}

let more = 0; // no two queues have the same numbers
for (const version of args.versions.split(',')) {
  for (const isPaused of [false, true]) {
    const want = { waiting: 11, active: 3, delayed: 5, prioritized: 4, children: 2, completed: 7, failed: 9 };
    for (const state of Object.keys(want)) want[state] += more;
    more += 1;
    print(await fill(loadBullmq(version), `${args.name}-${isPaused ? 'paused-' : ''}v${version}`, want, isPaused));
  }
}
process.exit(0);
