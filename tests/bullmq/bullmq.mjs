// The versions of BullMQ side by side, and what every program here shares: arguments, connection, errors shown.
import { createRequire } from 'node:module';
import { parseArgs } from 'node:util';

const require = createRequire(import.meta.url);

const PACKAGES = { '5.0': 'bullmq-v5-0', '5.40': 'bullmq-v5-40', 5: 'bullmq-v5', 6: 'bullmq-v6' };

/** Options of every program. */
export const COMMON = {
  version: { type: 'string', default: '6' },
  redis: { type: 'string' },
  prefix: { type: 'string', default: 'bull' },
  cluster: { type: 'boolean', default: false },
};

/** Parse the command line strictly; a mistake ends the program with exit code 2 and one line on stderr. */
export function readArguments(options) {
  try {
    const { values } = parseArgs({ options: { ...COMMON, ...options }, strict: true });
    if (!(values.version in PACKAGES)) {
      throw new Error(`--version must be one of ${Object.keys(PACKAGES).join(', ')}, not ${values.version}`);
    }
    if (!values.redis) throw new Error('--redis URL is required');
    return values;
  } catch (error) {
    process.stderr.write(`${error.message}\n`);
    process.exit(2);
  }
}

/** The library of one version ('5' and '6' are the newest of theirs), and its exact version as `exactVersion`. */
export function loadBullmq(version) {
  const name = PACKAGES[version];
  return { ...require(name), exactVersion: require(`${name}/package.json`).version };
}

/** Connection options from a redis:// or rediss:// URL; with `cluster` a connection to the cluster that node is of. */
export function connectionTo(url, { cluster = false } = {}) {
  const { protocol, hostname, port, username, password, pathname } = new URL(url);
  if (cluster) {
    const { Cluster } = require('ioredis');
    return new Cluster([{ host: hostname, port: Number(port) }], { redisOptions: { maxRetriesPerRequest: null } });
  }
  return {
    host: hostname,
    port: Number(port || 6379),
    username: username ? decodeURIComponent(username) : undefined,
    password: password ? decodeURIComponent(password) : undefined,
    db: Number(pathname.slice(1) || 0),
    tls: protocol === 'rediss:' ? {} : undefined,
    maxRetriesPerRequest: null,
  };
}

/** A Queue that only looks: it does not rewrite the queue's meta hash, as every other `new Queue` does. */
export function openForReading(bullmq, name, { redis, prefix, cluster }) {
  return new bullmq.Queue(name, { connection: connectionTo(redis, { cluster }), prefix, skipMetasUpdate: true });
}

/** Print one JSON value on a line of stdout. */
export function print(value) {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}
