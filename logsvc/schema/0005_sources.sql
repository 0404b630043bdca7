-- How the Redis of each source did, for charts. How it does now is read from Kafka. Null where it did not say.
CREATE TABLE IF NOT EXISTS source_snapshots${on_cluster}
(
    ts Int64 CODEC(Delta, ZSTD(1)),
    time DateTime64(3, 'UTC') ALIAS fromUnixTimestamp64Milli(ts, 'UTC'),
    env LowCardinality(String),
    source LowCardinality(String),
    is_reachable Bool DEFAULT true,
    ping_ms Nullable(Float64) CODEC(ZSTD(1)),
    queues Nullable(Int64) CODEC(ZSTD(1)),
    server LowCardinality(String),
    role LowCardinality(String),
    memory_bytes Nullable(Int64) CODEC(ZSTD(1)),
    max_memory_bytes Nullable(Int64) CODEC(ZSTD(1)),
    policy LowCardinality(String),
    evicted_keys Nullable(Int64) CODEC(ZSTD(1)),
    clients Nullable(Int64) CODEC(ZSTD(1)),
    max_clients Nullable(Int64) CODEC(ZSTD(1)),
    blocked_clients Nullable(Int64) CODEC(ZSTD(1)),
    commands_per_second Nullable(Int64) CODEC(ZSTD(1)),
    is_loading Nullable(Bool) CODEC(ZSTD(1)),
    rdb_saved_at Nullable(Int64) CODEC(ZSTD(1)),
    is_rdb_ok Nullable(Bool) CODEC(ZSTD(1)),
    is_aof_on Nullable(Bool) CODEC(ZSTD(1)),
    is_aof_ok Nullable(Bool) CODEC(ZSTD(1)),
    kafka_cluster LowCardinality(String),
    kafka_topic LowCardinality(String),
    kafka_partition UInt16 CODEC(T64, ZSTD(1)),
    kafka_offset Int64 CODEC(Delta, ZSTD(1)),
    PROJECTION per_partition
    (
        SELECT kafka_cluster, kafka_topic, kafka_partition, count(), max(kafka_offset)
        GROUP BY kafka_cluster, kafka_topic, kafka_partition
    )
)
ENGINE = ${replicated}MergeTree
PARTITION BY toDate(fromUnixTimestamp64Milli(ts, 'UTC'))
ORDER BY (source, ts)
TTL toDateTime(intDiv(ts, 1000), 'UTC') + toIntervalDay(${retention_days})
SETTINGS ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1, ${deduplication_window} = 100000;
