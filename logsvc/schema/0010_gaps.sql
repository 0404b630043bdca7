-- What was lost before it was read, to the millisecond. Every answer says how much, over any time: without this it reads
-- all rows for the few that are gaps. What is no gap has no time here, so it takes a row a queue and no more.
--
-- Used when a query filters on these very expressions, intDiv(ts, 86400000) among them, which passes over whole days.
-- Days stored before this migration are read from their rows.
ALTER TABLE journal${on_cluster} ADD PROJECTION IF NOT EXISTS gaps
(
    SELECT intDiv(ts, 86400000), if(event = 'gap', ts, 0), env, source, queue, count(), sum(lost)
    GROUP BY intDiv(ts, 86400000), if(event = 'gap', ts, 0), env, source, queue
);
