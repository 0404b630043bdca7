"""How a range of time is cut into buckets for a chart: pure."""

from dataclasses import dataclass

from logsvc.errors import BadRequest

STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400)
"""Widths in seconds that divide a day: buckets then begin where people expect, in UTC."""

USUAL = 120
MOST = 1_500
TREND = 24
"""Parts of a trend: a chart as small as a word."""


@dataclass(frozen=True)
class Buckets:
    """Buckets of `width` ms, the first beginning at start, the last ending at end: both are multiples of the width."""

    start: int
    end: int
    width: int

    @property
    def starts(self) -> range:
        return range(self.start, self.end, self.width)

    @property
    def is_of_minutes(self) -> bool:
        """Whether counts by the minute add up to it."""
        return self.width % 60_000 == 0


def cut(earliest: int, latest: int, asked_seconds: int | None, *, least: int = 1) -> Buckets:
    """Cut a range into buckets of the width asked for, or into about a hundred of at least so many seconds.

    Raises BadRequest for too many.
    """
    fitting = (step for step in STEPS if step >= least and latest - earliest <= step * 1000 * USUAL)
    seconds = asked_seconds or next(fitting, STEPS[-1])
    width = seconds * 1000
    start, end = earliest // width * width, -(-latest // width) * width
    if (end - start) // width > MOST:
        least = -(-(latest - earliest) // (1000 * MOST))
        raise BadRequest(f"bucket: more than {MOST} buckets; ask for {least + 1} seconds or more, or for less time")
    return Buckets(start, max(end, start + width), width)
