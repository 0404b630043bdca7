"""What can go wrong in the bridge, named by what the caller should do."""


class BridgeError(Exception):
    """Base of the bridge's errors."""


class WriterLost(BridgeError):
    """A transaction failed, was fenced, or its outcome is unknown: discard the producer and all memory, start again."""


class KafkaResting(WriterLost):
    """Kafka was not even asked: it did not answer lately, and its breaker is open."""


class SourceUnavailable(BridgeError):
    """A Redis source did not answer or refused; try again later."""


class TooSlow(SourceUnavailable):
    """A Redis source was reached and did not answer in time: it hangs, or its answer is too big for the connection."""
