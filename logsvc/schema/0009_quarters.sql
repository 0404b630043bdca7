-- What 0007 and 0008 counted, in fewer and cheaper words: the same exactness, a third of the disk given back, less work
-- at every insert and merge. The former release goes on without them: it then counts row by row.
ALTER TABLE journal${on_cluster} DROP PROJECTION IF EXISTS durations;

-- How long jobs waited and ran, by quarters of an hour: by the minute and job name nearly every job was a group of its
-- own. Counts, sums and most are exact; quantiles are within 1 % of the true value and the same whether they come from
-- here or from the rows, for a value counts as its first eight binary digits. As states, so that one question can merge
-- them by time and by queue at once. Finer buckets and single job names are counted row by row.
--
-- Used when a query filters on these very expressions, intDiv(ts, 900000) among them, and asks for these very functions.
-- Days stored before this migration are read from their rows.
ALTER TABLE journal${on_cluster} ADD PROJECTION IF NOT EXISTS quarters
(
    SELECT
        intDiv(ts, 900000), env, source, queue,
        count(), countIf(event = 'added'), countIf(event = 'completed'), countIf(event = 'failed'),
        countIf(state = 'retrying'),
        count(run_ms), sum(run_ms), max(run_ms), quantilesBFloat16State(0.5, 0.9, 0.95, 0.99)(run_ms),
        count(wait_ms), sum(wait_ms), max(wait_ms), quantilesBFloat16State(0.5, 0.9, 0.95, 0.99)(wait_ms)
    GROUP BY intDiv(ts, 900000), env, source, queue
);

ALTER TABLE journal${on_cluster} DROP PROJECTION IF EXISTS errors;

-- Failures that are the same failure. What did not fail has no minute here, so it takes a row a queue and no more.
-- empty(), because questions come to say that for = '' on their way.
ALTER TABLE journal${on_cluster} ADD PROJECTION IF NOT EXISTS failures
(
    SELECT
        fingerprint, if(empty(fingerprint), 0, intDiv(ts, 60000)), env, source, queue, event, state, backfill,
        count(), min(ts), max(ts),
        argMax(error, ts), argMax(error_type, ts), argMax(job_name, ts), argMax(job_id, ts)
    GROUP BY fingerprint, if(empty(fingerprint), 0, intDiv(ts, 60000)), env, source, queue, event, state, backfill
);
