// What really happened, written down by those who did it: one JSON line per job.
import { closeSync, openSync, renameSync, writeSync } from 'node:fs';

export class Truth {
  constructor(ephemeral) {
    this.ephemeral = ephemeral;
    this.records = new Map();
    this.terminal = 0;
  }

  /** The record of a BullMQ job, made at its first mention. Times are this host's, in ms. */
  of(queue, job) {
    const key = JSON.stringify([queue, job.id]);
    let record = this.records.get(key);
    if (!record) {
      const { attempts, delay, priority } = job.opts;
      record = {
        queue, id: job.id, name: job.name, kind: job.data.plan.kind, added: job.timestamp,
        max_attempts: attempts || 1, delay: delay || 0, priority: priority || 0,
        retries_by_hand: 0, removed: queue === this.ephemeral,
        starts: [], attempts: [], postponed: 0, final_state: null, failed_reason: null, returnvalue: null, logs: [], progress: [],
      };
      this.records.set(key, record);
    }
    return record;
  }

  /** Note a job's end, once. */
  end(record, state, fields) {
    if (record.final_state === null) this.terminal += 1;
    Object.assign(record, { final_state: state }, fields);
  }

  counts() {
    const of = (state) => [...this.records.values()].filter((record) => record.final_state === state).length;
    const attempts = [...this.records.values()].reduce((sum, record) => sum + record.attempts.length, 0);
    return { known: this.records.size, completed: of('completed'), failed: of('failed'), attempts };
  }

  /** Write all records; the file appears whole or not at all. */
  save(path) {
    const file = openSync(`${path}.part`, 'w');
    for (const record of this.records.values()) writeSync(file, `${JSON.stringify(record)}\n`);
    closeSync(file);
    renameSync(`${path}.part`, path);
  }
}
