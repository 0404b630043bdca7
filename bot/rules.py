"""Which events ring, and how long things take: every threshold of the bot's alarms in one place (pure)."""

from dataclasses import dataclass

from tocsin.events import JobEvent, State


@dataclass(frozen=True)
class Policy:
    """Times in seconds.

    stale: a failure older than this when read does not ring by itself. resolve: silence that ends an incident.
    """

    stale_seconds: float = 600
    resolve_seconds: float = 1800


FINAL_FAILURE = "failed"
"""BullMQ's word. `retries-exhausted` accompanies it and is not counted again; `retrying` is no final failure."""


def is_final_failure(event: JobEvent) -> bool:
    """Whether this event counts: a job that failed for good, seen live. What was there before us is history."""
    return event.event == FINAL_FAILURE and event.state is State.FAILED and not event.backfill


def fingerprint_of(event: JobEvent) -> str:
    """The bridge's fingerprint of the error, or a coarse one where it gave none."""
    return event.fingerprint or f"{event.error_type or 'Error'}|{event.job_name}"[:200]
