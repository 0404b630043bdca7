-- Failures that are the same failure: how often, since when, where, and what the latest one said. Exact, as 0007 is, and
-- used under the same condition. Fingerprint first: what did not fail has none and is passed over at once.
ALTER TABLE journal${on_cluster} ADD PROJECTION IF NOT EXISTS errors
(
    SELECT
        fingerprint, intDiv(ts, 60000), env, source, queue, event, state, backfill,
        count(), min(ts), max(ts),
        argMax(error, ts), argMax(error_type, ts), argMax(job_name, ts), argMax(job_id, ts)
    GROUP BY fingerprint, intDiv(ts, 60000), env, source, queue, event, state, backfill
);
