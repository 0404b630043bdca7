"""A source's clock, by those of its processes."""

from collections.abc import Sequence
from typing import Any, cast

import pytest

from bridge.errors import SourceUnavailable
from bridge.sources.bullmq import door as module
from bridge.sources.bullmq.door import Command, Door, Reply

NOW = 1_795_330_800_000


class Clock:
    """Ours, which tests turn."""

    ms = NOW

    def __call__(self) -> int:
        return self.ms


class Process:
    """Its clock is behind ours by so many ms, None = it does not answer; ours goes on by late_ms till that is known."""

    def __init__(self, clock: Clock, behind: int | None, late_ms: int = 0) -> None:
        self._clock = clock
        self._behind = behind
        self._late_ms = late_ms

    async def ask(self, commands: Sequence[Command]) -> list[Reply]:
        self._clock.ms += self._late_ms
        if self._behind is None:
            raise SourceUnavailable("no answer in 10 s")
        return [b"# Server\r\nserver_time_usec:%d\r\n" % ((self._clock.ms - self._behind) * 1000)]


class Processes:
    """Those of a cluster."""

    def __init__(self, *processes: Process) -> None:
        self._processes = processes

    async def parts(self) -> Sequence[Any]:
        return self._processes

    async def look_around(self) -> None: ...


async def read(monkeypatch: pytest.MonkeyPatch, *processes: tuple[int | None, int]) -> int:
    """How far the source's clock is behind ours, after one reading."""
    clock = Clock()
    monkeypatch.setattr(module, "current_ms", clock)
    door = Door(cast(Any, Processes(*(Process(clock, *process) for process in processes))))
    await door.read_clock()
    return clock.ms - door.now_ms()


async def test_process_that_answers_late_or_not_at_all_sets_no_clock_back(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await read(monkeypatch, (0, 0), (None, 10_000), (0, 3_000)) == 0


async def test_the_clock_that_is_behind_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await read(monkeypatch, (20, 0), (700, 0), (-300, 0)) == 700


async def test_source_has_no_clock_where_no_process_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SourceUnavailable):
        await read(monkeypatch, (None, 0), (None, 0))
