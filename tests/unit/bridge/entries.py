"""Short ways to write stream entries and job hashes."""

import itertools
from collections.abc import Mapping

from bridge.sources.bullmq.enrich import JobHash
from bridge.sources.bullmq.memory import QueueMemory
from bridge.sources.bullmq.stream import Entry, Position, Reading
from bridge.sources.bullmq.translate import Place, translate
from bridge.sources.bullmq.wire import entries_of
from tocsin.events import JobEvent

PLACE = Place("prod", "main", "mail")
NAMED = {
    "added": ("name",),
    "waiting": ("prev",),
    "active": ("prev",),
    "delayed": ("delay",),
    "completed": ("returnvalue", "prev"),
    "failed": ("failedReason", "prev"),
    "retries-exhausted": ("attemptsMade",),
    "progress": ("data",),
    "removed": ("prev",),
}
START = Position()


def entry_of(entry_id: str, fields: Mapping[str, str]) -> Entry:
    """One entry, as if read."""
    return entries_of([(entry_id, [text for pair in fields.items() for text in pair])])[0]


class Stream:
    """Entries of one queue, a second apart, translated batch by batch with one memory."""

    def __init__(self) -> None:
        self.memory = QueueMemory()
        self._clock = itertools.count(1000, 1000)

    def entries(self, *texts: str, job: str = "1") -> list[Entry]:
        """`waiting active` … -> entries; a job of its own as `7:waiting`, fields after slashes: `waiting/active`."""
        return [self._entry(text, job) for text in texts]

    def tell(
        self, *entries: Entry, hashes: dict[str, JobHash | None] | None = None, position: Position = START
    ) -> list[JobEvent]:
        """Translate one batch."""
        reading = Reading(list(entries), position)
        return translate(PLACE, reading, entries, hashes or {}, self.memory).events

    def _entry(self, text: str, job: str) -> Entry:
        event, *values = text.split("/")
        if ":" in event:
            job, _, event = event.partition(":")
        fields = {"event": event, "jobId": job, **dict(zip(NAMED.get(event, ()), values, strict=False))}
        return entry_of(f"{next(self._clock)}-0", fields)


def failed(
    *messages: str, made: int | None = None, started: int | None = None, waits: bool | None = False, **more: object
) -> JobHash:
    """A hash after failed attempts with these messages."""
    return JobHash(
        name="send",
        added_at=900,
        max_attempts=3,
        attempts_made=len(messages) if made is None else made,
        attempts_started=started,
        failed_reason=messages[-1] if messages else None,
        stacks=[f"Error: {message}\n    at work (job.js:1:2)" for message in messages],
        waits_to_retry=waits,
        **more,  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # any other field
    )


def shape(events: list[JobEvent]) -> list[tuple[str, str, int, str]]:
    """What most tests look at."""
    return [(event.event, str(event.state), event.attempt, event.error) for event in events]
