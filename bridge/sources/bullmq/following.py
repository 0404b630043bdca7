"""Whether what comes next in a stream may be read by `wire.follow`, and since when nothing missing was told."""

from dataclasses import dataclass

from bridge.sources.bullmq.stream import Info, Position, Reading, order


@dataclass(slots=True)
class Following:
    """Of one queue. It begins with a whole read that came to the stream's end, at one process, and ends with any doubt.

    process: see Door.shard. sure_id: the end as of the last whole read that reached it: up to there nothing is missing
    that was not told; None = there was none. is_quiet: it was read to its end before the next read, which is whole.
    """

    is_on: bool = False
    is_quiet: bool = False
    process: str = ""
    sure_id: str | None = None
    _end: str | None = None
    """What will be the sure one, once what was read is handed on."""
    _failed: bool = False

    def check(self, *, is_quiet: bool = False) -> None:
        """What Redis itself counts is to be looked at again."""
        self.is_on = self._failed = False
        self.is_quiet = is_quiet

    def fail(self) -> None:
        """The last entry passed was not there: until the next check that would cost more than it saves."""
        self.is_on, self._failed = False, True

    def whole(self, position: Position, info: Info | None, reading: Reading, process: str) -> None:
        """A whole read was made, from this position."""
        self.process = process
        self.is_quiet = False
        if reading.is_full and not reading.is_reset:
            self._end = self.sure_id or position.last_id
        else:
            self._end = reading.position.last_id
        is_odd = reading.lost or reading.is_full or reading.is_reset or reading.is_miscounted
        is_counted = info is not None and info.added is not None and not info.has_deletions
        self.is_on = is_counted and not is_odd and not self._failed and reading.position.last_id != "0-0"

    def cut(self, reading: Reading) -> None:
        """Of a read only this much will be handed on."""
        self.is_on = False
        if self._end is not None:
            self._end = min(self._end, reading.position.last_id, key=order)

    def hand_on(self) -> None:
        """What was read is on its way, and the position moved."""
        self.sure_id, self._end = self._end or self.sure_id, None
