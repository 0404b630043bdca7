"""How a queue did over some time, as history tells it (pure)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot.incidents.machine import Deploy
from bot.render.times import parse_rfc3339


@dataclass(frozen=True)
class Ends:
    """Jobs that ended from at_ms on: completed, or failed for good; retried: attempts that failed and were tried again.

    lost: events that nobody read, so that any of the numbers may be too low.
    """

    at_ms: int
    completed: int
    failed: int
    retried: int
    lost: int = 0


@dataclass(frozen=True)
class Course:
    """A queue from start_ms to end_ms, in parts of one length, empty ones too.

    waiting: when and how many jobs waited; None = nobody looked. since_ms: history goes back so far, None = it is
    empty. as_of_ms: all up to then is in; None = not known.
    """

    start_ms: int
    end_ms: int
    ends: Sequence[Ends]
    ends_ms: int
    waiting: Sequence[tuple[int, int | None]]
    waiting_ms: int
    deploys: Sequence[Deploy]
    since_ms: int | None
    as_of_ms: int | None

    @property
    def lost(self) -> int:
        return sum(one.lost for one in self.ends)

    @property
    def is_unknown(self) -> bool:
        """Whether history holds nothing of that time."""
        return self.since_ms is None or self.since_ms >= self.end_ms

    @property
    def known_from_ms(self) -> int:
        return self.start_ms if self.since_ms is None else max(self.start_ms, self.since_ms)

    @property
    def known_to_ms(self) -> int:
        return self.end_ms if self.as_of_ms is None else min(self.end_ms, max(self.start_ms, self.as_of_ms))


def to_course(durations: Mapping[str, Any], backlog: Mapping[str, Any], lost: Mapping[int, int]) -> Course:
    """Read logsvc's answers. lost: events by the beginning of the part. Raises LookupError, TypeError or ValueError."""
    since, as_of = durations["coverage"]["history_since"], durations["as_of"]
    ends = [
        Ends(at, one["completed"], one["failed"], one["retried"], lost.get(at, 0))
        for one in durations["items"]
        for at in (parse_rfc3339(one["ts"]),)
    ]
    return Course(
        parse_rfc3339(durations["from"]),
        parse_rfc3339(durations["to"]),
        ends,
        int(durations["bucket_seconds"]) * 1000,
        [(parse_rfc3339(one["ts"]), one["waiting"]) for one in backlog["items"]],
        int(backlog["bucket_seconds"]) * 1000,
        [Deploy(parse_rfc3339(one["ts"]), one["service"], one["version"], one["by"]) for one in durations["markers"]],
        parse_rfc3339(since) if since else None,
        parse_rfc3339(as_of) if as_of else None,
    )
