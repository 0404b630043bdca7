// BullMQ's own getJobCounts() and isPaused(), one JSON line per --queue.
//   node counts.mjs --version 5.0|5.40|5|6 --redis URL [--prefix bull] --queue NAME [--queue NAME …]
import { loadBullmq, openForReading, print, readArguments } from './bullmq.mjs';

const args = readArguments({ queue: { type: 'string', multiple: true, default: [] } });
const bullmq = loadBullmq(args.version);
for (const name of args.queue) {
  const queue = openForReading(bullmq, name, args);
  print({ queue: name, version: bullmq.exactVersion, counts: await queue.getJobCounts(), is_paused: await queue.isPaused() });
  await queue.close();
}
process.exit(0);
