"""Which events ring, and how long things take: every threshold of the bot's alarms in one place (pure)."""

from dataclasses import dataclass

from tocsin.events import JobEvent, State


@dataclass(frozen=True)
class Policy:
    """Times in seconds.

    stale: a failure older than this when read does not ring by itself. resolve: quiet that ends an incident.
    remind: how often people hear of what nobody has taken. ack: how long an ack holds. loud_counts: an incident nobody
    has taken makes a sound again when it reaches one of these.
    """

    stale_seconds: float = 600
    resolve_seconds: float = 1800
    remind_seconds: float = 1800
    ack_seconds: float = 4 * 3600
    loud_counts: tuple[int, ...] = (10, 100, 1000, 10_000, 100_000, 1_000_000)


FINAL_FAILURE = "failed"
"""BullMQ's word. `retries-exhausted` accompanies it and is not counted again; `retrying` is no final failure."""


def is_final_failure(event: JobEvent) -> bool:
    """Whether this event counts: a job that failed for good, seen live. What was there before us is history."""
    return event.event == FINAL_FAILURE and event.state is State.FAILED and not event.backfill


def fingerprint_of(event: JobEvent) -> str:
    """The bridge's fingerprint of the error, or a coarse one where it gave none."""
    return event.fingerprint or f"{event.error_type or 'Error'}|{event.job_name}"[:200]
