-- What queues and schedulers looked like, for charts. What they look like now is read from Kafka.
CREATE TABLE IF NOT EXISTS queue_snapshots${on_cluster}
(
    ts Int64 CODEC(Delta, ZSTD(1)),
    time DateTime64(3, 'UTC') ALIAS fromUnixTimestamp64Milli(ts, 'UTC'),
    env LowCardinality(String),
    source LowCardinality(String),
    queue LowCardinality(String),
    waiting UInt64 CODEC(T64, ZSTD(1)),
    active UInt64 CODEC(T64, ZSTD(1)),
    delayed UInt64 CODEC(T64, ZSTD(1)),
    prioritized UInt64 CODEC(T64, ZSTD(1)),
    waiting_children UInt64 CODEC(T64, ZSTD(1)),
    completed UInt64 CODEC(T64, ZSTD(1)),
    failed UInt64 CODEC(T64, ZSTD(1)),
    is_paused Bool,
    workers Nullable(UInt32) CODEC(ZSTD(1)),
    oldest_waiting_seconds Nullable(Float64) CODEC(ZSTD(1)),
    max_len_events Nullable(UInt64) CODEC(ZSTD(1)),
    bullmq_version LowCardinality(String),
    sources_queues UInt32 CODEC(T64, ZSTD(1)),
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
ORDER BY (source, queue, ts)
TTL toDateTime(intDiv(ts, 1000), 'UTC') + toIntervalDay(${retention_days})
SETTINGS ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1, ${deduplication_window} = 100000;

CREATE TABLE IF NOT EXISTS scheduler_snapshots${on_cluster}
(
    ts Int64 CODEC(Delta, ZSTD(1)),
    time DateTime64(3, 'UTC') ALIAS fromUnixTimestamp64Milli(ts, 'UTC'),
    env LowCardinality(String),
    source LowCardinality(String),
    queue LowCardinality(String),
    scheduler String CODEC(ZSTD(1)),
    job_name LowCardinality(String),
    pattern LowCardinality(String),
    every Nullable(Int64) CODEC(ZSTD(1)),
    timezone LowCardinality(String),
    next_run Nullable(Int64) CODEC(ZSTD(1)),
    iteration Nullable(Int64) CODEC(ZSTD(1)),
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
ORDER BY (source, queue, scheduler, ts)
TTL toDateTime(intDiv(ts, 1000), 'UTC') + toIntervalDay(${retention_days})
SETTINGS ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1, ${deduplication_window} = 100000;
