-- Tables that were made with a window of 10,000 tokens remember 100,000 too (logsvc/ingest/lane.py says what that is for).
ALTER TABLE journal${on_cluster} MODIFY SETTING ${deduplication_window} = 100000;

ALTER TABLE queue_snapshots${on_cluster} MODIFY SETTING ${deduplication_window} = 100000;

ALTER TABLE scheduler_snapshots${on_cluster} MODIFY SETTING ${deduplication_window} = 100000;
