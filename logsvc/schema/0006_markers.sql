-- Deploys and other moments people mark. A few a day: read them with FINAL, which then costs nothing.
--
-- One id is one marker, whatever is sent under it again: the first to arrive stays, for it has the highest precedence.
CREATE TABLE IF NOT EXISTS markers${on_cluster}
(
    id String,
    ts Int64,
    time DateTime64(3, 'UTC') ALIAS fromUnixTimestamp64Milli(ts, 'UTC'),
    env LowCardinality(String),
    service LowCardinality(String),
    version String,
    by String,
    precedence UInt64 DEFAULT 18446744073709551615 - toUnixTimestamp64Micro(now64(6))
)
ENGINE = ${replicated}ReplacingMergeTree(precedence)
ORDER BY id
TTL toDateTime(intDiv(ts, 1000), 'UTC') + toIntervalDay(${retention_days})
SETTINGS ${deduplication_window} = 1000;
