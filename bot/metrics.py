"""Every metric of the bot."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class Metrics:
    """Counters and gauges, on a registry passed in."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.failures = Counter(
            "bot_failures_counted_total", "Final failures counted into incidents", registry=registry
        )
        self.rung = Counter("bot_incidents_rung_total", "New messages wanted for incidents", registry=registry)
        self.sounded = Counter(
            "bot_incidents_sounded_total",
            "Sounds wanted about incidents after their first",
            ["kind"],
            registry=registry,
        )
        self.unrouted = Counter(
            "bot_alerts_unrouted_total", "Alerts no chat and no admin is set for", registry=registry
        )
        self.sent = Counter("bot_messages_sent_total", "Messages Telegram took", ["kind"], registry=registry)
        self.dead = Counter("bot_messages_dead_total", "Messages that can never arrive", ["reason"], registry=registry)
        self.dead.labels("refused")
        self.dropped = Counter(
            "bot_messages_dropped_total",
            "Left out because it was too old to be of use: edits, and sounds about what somebody has taken; no alerts",
            ["kind"],
            registry=registry,
        )
        for kind in ("edit", "sound"):
            self.dropped.labels(kind)
        self.refused = Counter("bot_chat_refused_total", "Tries that a chat did not let in", registry=registry)
        self.away = Gauge("bot_away_messages", "Messages waiting for a chat to let us in", registry=registry)
        self.rate_limited = Counter("bot_rate_limited_total", "429 answers from Telegram", registry=registry)
        self.errors = Counter("bot_errors_total", "Errors met", ["stage", "kind"], registry=registry)
        # Once is too often for these, and who watches a rate must see that first step.
        for stage, kind in (("receive", "bad_record"), ("receive", "expired"), ("process", "unfit")):
            self.errors.labels(stage, kind)
        self.asks = Counter("bot_asks_total", "Commands and presses", ["command"], registry=registry)
        self.answer_seconds = Histogram(
            "bot_answer_duration_seconds",
            "From hearing what somebody said or pressed to the call to Telegram that answers it",
            buckets=(0.05, 0.1, 0.2, 0.5, 1, 2, 3, 5, 10, 30),
            registry=registry,
        )
        self.lag = Gauge(
            "bot_kafka_lag_records",
            "Records there at the look before and not read yet; NaN: none yet",
            registry=registry,
        )
        self.lag.set(float("nan"))
        self.heard = Gauge(
            "bot_kafka_heard_timestamp_seconds", "Everything in Kafka before then is counted", registry=registry
        )
        self.dispatched = Counter(
            "bot_dispatches_total",
            "Tries to tell a channel beside Telegram: sent, later (it did not take it), refused (it never will)",
            ["channel", "outcome"],
            registry=registry,
        )
        self.heartbeat = Gauge(
            "bot_heartbeat_timestamp_seconds", "When the last sign of life was sent to HEARTBEAT_URL", registry=registry
        )
        self.is_polling = Gauge(
            "bot_is_polling", "1 while this bot hears commands: of several on one database, one does", registry=registry
        )
        self.outbox = Gauge(
            "bot_outbox_messages", "Messages and edits of messages waiting to be sent", registry=registry
        )
        self.unsent = Gauge(
            "bot_outbox_unsent_seconds",
            "Age of the oldest message that waits to be sent and is no edit; 0: none waits",
            registry=registry,
        )
        self.ring_seconds = Histogram(
            "bot_ring_duration_seconds",
            "From wanting a new message to Telegram's acceptance",
            buckets=(0.05, 0.1, 0.2, 0.5, 1, 2, 5, 15, 60, 300, 3600),
            registry=registry,
        )
