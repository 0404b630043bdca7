"""Every metric of logsvc, on one page."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class Metrics:
    """logsvc's metrics in the given registry. Labels come from closed sets: topics, tables, reasons."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.rows_stored = Counter(
            "logsvc_rows_stored_total", "Rows that ClickHouse acknowledged", ["topic"], registry=registry
        )
        self.insert_seconds = Histogram(
            "logsvc_insert_duration_seconds",
            "One insert, from call to acknowledgement",
            ["table"],
            buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
            registry=registry,
        )
        self.batch_rows = Histogram(
            "logsvc_batch_rows",
            "Rows of one insert",
            ["table"],
            buckets=(1, 10, 100, 1_000, 10_000, 50_000),
            registry=registry,
        )
        self.insert_failures = Counter(
            "logsvc_insert_failures_total",
            "Calls of ClickHouse or Kafka on a table's way that failed and are tried again",
            ["table"],
            registry=registry,
        )
        self.dead_letters = Counter(
            "logsvc_dead_letters_total", "Records that could not be stored", ["topic"], registry=registry
        )
        self.recovered = Counter(
            "logsvc_ranges_recovered_total",
            "Ranges a former owner left open, stored again",
            ["topic"],
            registry=registry,
        )
        self.repaired = Counter(
            "logsvc_rows_repaired_total",
            "Rows found missing by a read-back and stored then",
            ["topic"],
            registry=registry,
        )
        self.unaccounted = Counter(
            "logsvc_rows_unaccounted_total",
            "Rows still missing after a repair: should stay 0",
            ["topic"],
            registry=registry,
        )
        self.expired = Counter(
            "logsvc_offsets_expired_total",
            "Offsets that Kafka's retention deleted before they were read (markers included)",
            ["topic"],
            registry=registry,
        )
        self.incarnations = Counter(
            "logsvc_incarnations_total",
            "Partitions found begun anew under stored rows (another cluster, or a topic made again)",
            ["topic"],
            registry=registry,
        )
        self.lag = Gauge(
            "logsvc_lag_records", "Offsets between what is stored and Kafka's end", ["topic"], registry=registry
        )
        self.retrying = Gauge(
            "logsvc_partitions_retrying",
            "Partitions that wait for ClickHouse or Kafka to take their rows; /api/v1/system says why",
            registry=registry,
        )
        self.buffered_bytes = Gauge(
            "logsvc_buffered_bytes", "Bytes read from Kafka and not stored yet", registry=registry
        )
        self.store_up = Gauge("logsvc_store_up", "1 while ClickHouse is usable", registry=registry)
        self.viewers = Gauge("logsvc_viewers", "Live viewers connected", ["transport"], registry=registry)
        self.rows_sent = Counter("logsvc_live_rows_sent_total", "Rows sent to live viewers", registry=registry)
        self.rows_dropped = Counter(
            "logsvc_live_rows_dropped_total", "Rows a slow viewer missed (and was told of)", registry=registry
        )
        self.viewers_cut = Counter(
            "logsvc_live_viewers_cut_total", "Viewers cut off because they did not read", registry=registry
        )
        self.exported = Counter(
            "logsvc_exported_rows_total", "Rows written into exported files", ["format"], registry=registry
        )
        for kind in ("csv", "ndjson"):
            self.exported.labels(kind)
        self.live_unreadable = Counter(
            "logsvc_live_unreadable_total",
            "Times a record that cannot be read was left out of the stream",
            registry=registry,
        )

    def begin_topic(self, topic: str) -> None:
        """Count from 0 what may happen to a topic: who watches a rate must see the first step."""
        for counter in (
            *(self.rows_stored, self.dead_letters, self.recovered, self.repaired, self.unaccounted),
            *(self.expired, self.incarnations),
        ):
            counter.labels(topic)
