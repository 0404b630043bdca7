"""What a job's rows tell of its runs, in words of SQL that all questions about jobs have in common."""

# `at` orders a job's events in one number: ms, then Kafka's order within one (a job's events share a partition).
AT = "bitShiftLeft(ts, 20) + bitAnd(kafka_offset, 1048575)"

# Whose row it is. known: the runs of its id, newest first. A row that does not know its run (added_at 0: the hash was
# gone) belongs to the newest one added by then, else to the first one known; 0 = none is known.
RUN = """multiIf(added_at > 0, added_at, empty(known), 0,
        arrayExists(added -> added <= {ts}, known), arrayFirst(added -> added <= {ts}, known), known[-1])"""

# Which of the rows that do not know their run it is: they come one by one.
SEEN = "if(added_at = 0, ts, 0)"

TELLS_STATE = "kind = 'event' AND state != 'unknown'"
TELLS_NAME = "kind = 'event' AND job_name != ''"
