"""Redis -> Kafka: relays what BullMQ's event streams say, exactly once, in each queue's order.

In come stream entries, job hashes, logs and counts, by reads only: nothing is written to the user's Redis, except by
actions (bridge/actions), on a connection of their own, where that is configured. Out go records of the contract, in
Kafka transactions that also hold the cursor, by the one replica that owns the queue's partition; a replica that lost it
is fenced. A kill at any moment loses and doubles nothing.

What BullMQ trimmed before it was read is counted exactly and recorded as a `gap`; a job that ended in it is told from
its hash, once, with `rebuilt=true`, if the hash still exists, with what else of its life lay in the gap: that it was
added, and that its last run began. So is that a job of the present was added in it, and where that stands (of 10,000 of
them). What jobs passed through meanwhile is lost. An end is known by its time, two seconds of difference between the
clocks allowed. Only if Kafka cannot be read back in time, thrice, a failure is told without knowing whether it was told
before, and says so.

A job whose hash was gone when its event was read, or was that of a later job with its id, is told with
`enriched=false`, and so is a run that was read too late to tell a failed attempt from a job handed back by its own
processor. What was in a stream before Tocsin first saw the queue is `backfill`.

What BullMQ does without an event of any job (drain, clean, obliterate, auto-removal, a scheduler's replacement, another
priority) is found by comparing what was told of each open job with what Redis holds, every BRIDGE_RECONCILE_SECONDS,
and told as `reconciled`, with the evidence, once. It is told only if nothing unread in the stream speaks of the job; a
refusal says nothing. A job whose hash is there and that stands nowhere is told to be unknown. Up to 20,000 open jobs of
a queue are so watched, and 300,000 of a process; how many are left out is told. Across a restart in peace they all are,
across a kill a thousand of a queue.

A queue that two complete scans did not find is read to its end and told to be `gone`, once; made again under the same
name it goes on under identities of its own.

A stream that was deleted is read from its start under a new epoch, after a `stream-reset` record. One that a failover
of Redis has cut short by up to 500 entries (fewer where thousands of queues are busy, see budget.py) is gone on with
under a new epoch, and nothing is told again; if more are lost, or the bridge restarts in between, the retained entries
are told a second time, under other ids and as `backfill`, which never rings. A stream begun anew that was trimmed
beyond the old position is known by the queue's own counter of jobs; where that has outgrown what it was, too, it passes
for a gap. Told a second time are also the entries of a queue whose cursor in Kafka was damaged. A record too big for
Kafka becomes a dead letter.

What is polled (counts, schedulers, Redis itself) is told as it was at its time, and what Redis refuses as unknown. A
scheduler that two complete readings did not find is told as `gone`, also one that went while no bridge ran.

With KAFKA_TRANSACTIONS=false (the in-memory stand-in) delivery is at least once.
"""
