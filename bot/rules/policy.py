"""Which events ring, and how long things take: every threshold of the bot's alarms in one place (pure)."""

from dataclasses import dataclass

from bot.routing.quiet import QuietHours
from bot.routing.routes import Destination
from tocsin.events import JobEvent, State


@dataclass(frozen=True)
class Policy:
    """Times in seconds.

    stale: a failure older than this when read does not ring by itself. resolve: quiet that ends an incident.
    remind: how often people hear of what nobody has taken. ack: how long an ack holds. loud_counts: an incident nobody
    has taken makes a sound again when it has reached one of these. off: rules that are switched off. storm_incidents:
    of one env within a minute no more have a message of their own. least_stalled: how many stalled jobs ring.
    escalate: after so long without an ack the next one is paged; escalate_to: who comes after the people of the rota.
    """

    stale_seconds: float = 600
    resolve_seconds: float = 1800
    remind_seconds: float = 1800
    ack_seconds: float = 4 * 3600
    loud_counts: tuple[int, ...] = (10, 100, 1000, 10_000, 100_000, 1_000_000)
    off: frozenset[str] = frozenset()
    storm_incidents: int = 5
    least_stalled: int = 3
    escalate_seconds: float = 900
    escalate_to: tuple[Destination, ...] = ()
    quiet_hours: tuple[QuietHours, ...] = ()

    @property
    def between_sounds_seconds(self) -> float:
        """Growing, an incident makes no second sound sooner: a burst of failures is one alarm, not two."""
        return self.remind_seconds / 6


SHIPPED = Policy()

FINAL_FAILURE, GAP, STALLED = "failed", "gap", "stalled"
"""BullMQ's words, and Tocsin's for a gap. `retries-exhausted` accompanies a failure and is not counted again;
`retrying` is no final failure."""

LOST_RULE, STALLED_RULE = "events-lost", "stalled"


@dataclass(frozen=True)
class EventRule:
    """A rule over events instead of measurements. It is over by quiet."""

    name: str
    title: str
    about: str
    why: str
    fire: int = 1


FAILED = EventRule(
    FINAL_FAILURE, "Job failed for good", "a job has used up its attempts", "it is what you want to know; always on"
)
EVENT_RULES = (
    FAILED,
    EventRule(
        LOST_RULE,
        "Events lost",
        "BullMQ trimmed events before the bridge read them",
        "failures among them did not ring; the bridge rebuilds what the jobs' hashes still say",
    ),
    EventRule(
        STALLED_RULE,
        "Jobs stall",
        "{fire} jobs lost their worker, less than 30 min apart",
        "workers die, or block their event loop; one stalled job alone runs again and is no alarm",
        fire=3,
    ),
)


@dataclass(frozen=True)
class Ringing:
    """What an event counts as. count: how many of it. least: it rings from this count on."""

    fingerprint: str
    count: int = 1
    least: int = 1
    title: str = ""
    text: str = ""


def ringing(event: JobEvent, policy: Policy = SHIPPED) -> Ringing | None:
    """What this event counts as, or None. What was there before us is history."""
    off = policy.off
    if event.backfill:
        return None
    if is_final_failure(event):
        return Ringing(fingerprint_of(event))
    if event.event == GAP and event.lost > 0 and LOST_RULE not in off:
        text = f"{event.lost} events were trimmed before they could be read; failures among them did not ring."
        return Ringing(f"rule:{LOST_RULE}", count=event.lost, title="Events lost", text=text)
    if event.event == STALLED and STALLED_RULE not in off:
        text = "The job's worker died, or blocked its event loop; BullMQ gives the job to another."
        return Ringing(f"rule:{STALLED_RULE}", least=policy.least_stalled, title="Jobs stall", text=text)
    return None


def is_final_failure(event: JobEvent) -> bool:
    """Whether this event is a job that failed for good, seen live."""
    return event.event == FINAL_FAILURE and event.state is State.FAILED and not event.backfill


def fingerprint_of(event: JobEvent) -> str:
    """The bridge's fingerprint of the error, or a coarse one where it gave none."""
    return event.fingerprint or f"{event.error_type or 'Error'}|{event.job_name}"[:200]
