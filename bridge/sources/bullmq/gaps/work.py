"""What is to be mended of a queue, and when that may be done: pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from bridge.sources.bullmq.enrich import SKEW_MS
from bridge.sources.bullmq.gaps.told import Ended
from bridge.sources.bullmq.stream import MAX_GAPS, Gap
from bridge.sources.bullmq.watched import Queue


def mendable(gaps: Sequence[Gap], read_until_ms: int) -> Gap | None:
    """The time that can be mended: of gaps of which everything that could be taken for theirs was read.

    read_until_ms: nothing older is unread. Of a queue that loses on, so that its gaps are joined again and again, the
    part of the oldest that is long past.
    """
    until = read_until_ms - 2 * SKEW_MS
    past = [gap for gap in gaps if gap.end_ms < until]
    if past:
        return Gap(min(gap.start_ms for gap in past), max(gap.end_ms for gap in past))
    if len(gaps) >= MAX_GAPS and gaps[0].start_ms < until:
        return Gap(gaps[0].start_ms, until)
    return None


def without(gaps: Sequence[Gap], mended: Gap) -> tuple[Gap, ...]:
    """What is left of the gaps. One that began meanwhile began after `mended`, whatever was the last entry before."""
    return tuple(Gap(max(gap.start_ms, mended.end_ms), gap.end_ms) for gap in gaps if gap.end_ms > mended.end_ms)


@dataclass(slots=True)
class Work:
    """What is to be mended of one queue: a time, and ends that were found though no event told of them.

    is_done: it is mended, as far as it can be.
    """

    queue: Queue
    gap: Gap | None = None
    ends: list[Ended] = field(default_factory=list[Ended])
    is_done: bool = False

    @property
    def since_ms(self) -> int:
        """When the first of it was, by some clock."""
        times = [ended.at for ended in self.ends]
        return min([*times, self.gap.start_ms] if self.gap is not None else times)
