-- One table for job events and log lines: a job's timeline is both.
--
-- Column names are the wire contract's (tocsin/events.py). Times are milliseconds since 1970 UTC as they come from
-- Kafka: ClickHouse reads a bare number in JSON as seconds, so a DateTime64 column would store another time. `time` is
-- the same instant for people and dashboards; it costs no disk, and a condition on it still skips whole days.
-- (kafka_cluster, kafka_topic, kafka_partition, kafka_offset) is where the row came from; unique, it proves exactly-once.
--
-- Plain MergeTree, never with mutations: rows are exact without FINAL. Time bucket first, since every question is about
-- a time; then the queue.
CREATE TABLE IF NOT EXISTS journal${on_cluster}
(
    ts Int64 CODEC(Delta, ZSTD(1)),
    time DateTime64(3, 'UTC') ALIAS fromUnixTimestamp64Milli(ts, 'UTC'),
    kind LowCardinality(String),
    level LowCardinality(String) DEFAULT multiIf(
        event IN ('failed', 'retries-exhausted', 'gap'), 'error',
        event IN ('stalled', 'stream-reset') OR state = 'retrying', 'warn',
        event = 'progress', 'debug',
        'info'),
    env LowCardinality(String),
    service LowCardinality(String),
    source LowCardinality(String),
    queue LowCardinality(String),
    epoch UInt32 CODEC(T64, ZSTD(1)),
    id String CODEC(ZSTD(1)),
    stream_id String CODEC(ZSTD(1)),
    event LowCardinality(String),
    state LowCardinality(String) DEFAULT if(kind = 'event', 'unknown', ''),
    prev LowCardinality(String),
    job_id String CODEC(ZSTD(1)),
    job_name LowCardinality(String),
    added_at Int64 CODEC(Delta, ZSTD(1)),
    attempt UInt32 CODEC(T64, ZSTD(1)),
    max_attempts UInt32 CODEC(T64, ZSTD(1)),
    error String CODEC(ZSTD(3)),
    error_type LowCardinality(String),
    stack Array(String) CODEC(ZSTD(3)),
    fingerprint String CODEC(ZSTD(1)),
    data String CODEC(ZSTD(3)),
    result String CODEC(ZSTD(3)),
    progress String CODEC(ZSTD(3)),
    wait_ms Nullable(Int64) CODEC(ZSTD(1)),
    run_ms Nullable(Int64) CODEC(ZSTD(1)),
    started_at Nullable(Int64) CODEC(ZSTD(1)),
    ended_at Nullable(Int64) CODEC(ZSTD(1)),
    delay_until Nullable(Int64) CODEC(ZSTD(1)),
    worker LowCardinality(String),
    parent String CODEC(ZSTD(1)),
    scheduler LowCardinality(String),
    trace_id String CODEC(ZSTD(1)),
    message String CODEC(ZSTD(3)),
    line UInt32 CODEC(T64, ZSTD(1)),
    fields String CODEC(ZSTD(3)),
    enriched Bool DEFAULT true,
    rebuilt Bool,
    backfill Bool,
    lost UInt64 CODEC(ZSTD(1)),
    gap_from String CODEC(ZSTD(1)),
    gap_to String CODEC(ZSTD(1)),
    kafka_cluster LowCardinality(String),
    kafka_topic LowCardinality(String),
    kafka_partition UInt16 CODEC(T64, ZSTD(1)),
    kafka_offset Int64 CODEC(Delta, ZSTD(1)),
    INDEX by_job job_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_fingerprint fingerprint TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_level level TYPE set(8) GRANULARITY 1,
    INDEX by_offset kafka_offset TYPE minmax GRANULARITY 1,
    -- Exact counts by minute: written with the part itself, gone with it. Used when a query filters on these expressions.
    PROJECTION per_minute
    (
        SELECT intDiv(ts, 60000), env, service, source, queue, kind, event, state, level, count(), sum(lost)
        GROUP BY intDiv(ts, 60000), env, service, source, queue, kind, event, state, level
    ),
    -- How far each Kafka partition has been stored.
    PROJECTION per_partition
    (
        SELECT kafka_cluster, kafka_topic, kafka_partition, count(), max(kafka_offset)
        GROUP BY kafka_cluster, kafka_topic, kafka_partition
    )
)
ENGINE = ${replicated}MergeTree
PARTITION BY toDate(fromUnixTimestamp64Milli(ts, 'UTC'))
ORDER BY (intDiv(ts, 300000), source, queue, ts)
TTL toDateTime(intDiv(ts, 1000), 'UTC') + toIntervalDay(${retention_days})
SETTINGS ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1, ${deduplication_window} = 100000;
