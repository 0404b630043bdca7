"""Which streams are named how often, on a clock that moves only when somebody waits."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bridge.lag import Lag
from bridge.sources.bullmq import wakeup
from bridge.sources.bullmq.door import Command, Door, Reply
from bridge.sources.bullmq.stream import Position
from bridge.sources.bullmq.wakeup import Wakeup
from bridge.sources.bullmq.watched import Queue

LOOK_SECONDS = 0.001


class Clock:
    """Now, and the wait of everybody."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(wakeup, "time", SimpleNamespace(monotonic=lambda: self.now))
        monkeypatch.setattr(wakeup, "asyncio", SimpleNamespace(sleep=self.sleep))

    async def sleep(self, seconds: float) -> None:
        self.now += max(0.0, seconds)


class OneRedis(Door):
    """Some streams always have something. looks: (names, time) of every XREAD."""

    def __init__(self, clock: Clock, busy: Iterable[str]) -> None:
        super().__init__("redis://nowhere")
        self._clock = clock
        self._busy = set(busy)
        self.looks: list[tuple[list[str], float]] = []

    @asynccontextmanager
    async def blocking(self) -> AsyncGenerator[bool]:
        yield True

    async def ask(self, commands: Sequence[Command], *, timeout: float = 10.0, as_text: bool = False) -> list[Reply]:
        (command,) = commands
        words = [str(word) for word in command]
        names = words[words.index("STREAMS") + 1 :]
        names = names[: len(names) // 2]
        self.looks.append((names, self._clock.now))
        has = [name for name in names if name in self._busy]
        waited = int(words[words.index("BLOCK") + 1]) / 1000 if "BLOCK" in words and not has else LOOK_SECONDS
        await self._clock.sleep(waited)
        return [[(name.encode(), [(b"1-1", [b"event", b"added"])]) for name in has]]


class ManySlots(OneRedis):
    """No two streams may be named together."""

    def groups(self, keys: Iterable[str]) -> list[list[str]]:
        return [[key] for key in keys]

    async def ask(self, commands: Sequence[Command], *, timeout: float = 10.0, as_text: bool = False) -> list[Reply]:
        return [reply for command in commands for reply in await super(ManySlots, self).ask([command])]


def nothing(size: int) -> None:
    pass


def now() -> int:
    return 100


def queues_of(count: int) -> Mapping[str, Queue]:
    made: dict[str, Any] = {
        f"q{number}": SimpleNamespace(position=Position(), portion=SimpleNamespace(expect=nothing), lag=Lag(now))
        for number in range(count)
    }
    return cast(Mapping[str, Queue], made)


def look(clock: Clock, door: OneRedis, *, lane: int, known: int, seconds: float) -> None:
    async def run() -> None:
        wakeups, queues, end = Wakeup(door, lambda: known), queues_of(lane), clock.now + seconds
        while clock.now < end:
            await wakeups.wait(queues, is_hurried=False)

    asyncio.run(run())


def test_a_busy_stream_is_looked_at_often_and_the_others_in_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    door = OneRedis(clock, ["q7"])
    look(clock, door, lane=200, known=10_000, seconds=20)
    named = Counter(name for names, _ in door.looks for name in names)
    times = [at for names, at in door.looks if "q7" in names]
    assert max(later - earlier for earlier, later in pairwise(times)) < 0.1
    assert 10 <= named["q8"] <= 20, "a quiet stream: once a round"
    assert named.total() < 20 * wakeup.LOOKS_A_SECOND * 200 / 10_000 * 1.1, "the lane's share of the budget"


def test_busy_streams_that_are_most_are_looked_at_with_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    door = OneRedis(clock, [f"q{number}" for number in range(150)])
    look(clock, door, lane=200, known=2_000, seconds=20)
    assert {len(names) for names, _ in door.looks} == {200}
    assert sum(len(names) for names, _ in door.looks) < 20 * wakeup.LOOKS_A_SECOND * 200 / 2_000


def test_while_nothing_happens_one_look_waits_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    door = OneRedis(clock, [])
    look(clock, door, lane=200, known=200, seconds=20)
    assert len(door.looks) <= 21


@pytest.mark.parametrize(("known", "quiet_seconds"), [(300, 0.5), (10_000, 4 / 3)])
def test_streams_of_many_slots_are_looked_at_within_the_same_budget(
    monkeypatch: pytest.MonkeyPatch, known: int, quiet_seconds: float
) -> None:
    clock = Clock(monkeypatch)
    monkeypatch.setattr("tests.unit.bridge.test_wakeup.LOOK_SECONDS", 0.00001)
    door = ManySlots(clock, ["q7", "q8"])
    look(clock, door, lane=200, known=known, seconds=20)
    named = Counter(name for names, _ in door.looks for name in names)
    assert 0.8 * 20 / quiet_seconds <= named["q9"] <= 1.1 * 20 / quiet_seconds + 1
    assert 200 <= named["q7"] <= 420, "a busy one is looked at often"
    assert named.total() < 20 * wakeup.LOOKS_A_SECOND * 200 / known * 1.1, "the lane's share of the budget"


def test_a_look_tells_how_long_a_stream_waits_to_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    door, queues = OneRedis(clock, ["q1"]), queues_of(3)
    asyncio.run(Wakeup(door, lambda: 3).wait(queues, is_hurried=False))
    assert [queue.lag.seconds() for queue in queues.values()] == [0, 0.099, 0]
