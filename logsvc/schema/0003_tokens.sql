-- Tables that were made with a window of 10,000 tokens remember 100,000 too (logsvc/lane.py says what that is for).
ALTER TABLE journal MODIFY SETTING non_replicated_deduplication_window = 100000;

ALTER TABLE queue_snapshots MODIFY SETTING non_replicated_deduplication_window = 100000;

ALTER TABLE scheduler_snapshots MODIFY SETTING non_replicated_deduplication_window = 100000;
