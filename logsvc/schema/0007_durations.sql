-- How long jobs waited and ran, by minute and job name. It is written with the part itself and gone with it, so it is as
-- exact as the rows: counts, sums, least and most to the digit, quantiles within 1 % of the true value, and the same
-- whether they come from here or from the rows (a DDSketch forgets nothing when it is merged).
--
-- Used when a query filters on these very expressions, intDiv(ts, 60000) among them, and asks for these very functions:
-- quantilesDD with these parameters, no others. Days stored before this migration are read from their rows.
ALTER TABLE journal${on_cluster} ADD PROJECTION IF NOT EXISTS durations
(
    SELECT
        intDiv(ts, 60000), env, source, queue, job_name, event, state,
        count(),
        count(run_ms), sum(run_ms), min(run_ms), max(run_ms), quantilesDD(0.01, 0.5, 0.9, 0.95, 0.99)(run_ms),
        count(wait_ms), sum(wait_ms), min(wait_ms), max(wait_ms), quantilesDD(0.01, 0.5, 0.9, 0.95, 0.99)(wait_ms)
    GROUP BY intDiv(ts, 60000), env, source, queue, job_name, event, state
);
