"""What would have rung: a preview that is cut short compares like with like."""

import time
from itertools import count
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from bot.kafka import KafkaRecord
from bot.rules.policy import Policy
from bot.rules.preview import Preview
from bot.rules.rulebook import RuleBook, Tuning
from tests.unit.bot.events import failed
from tocsin.events import JobEvent

KINDS = 400


class Past:
    """A day that Kafka still holds: one kind of failure after the other, three seconds apart."""

    def __init__(self, **more: Any) -> None:
        first_ms = int(time.time() * 1000) - KINDS * 3000
        own = [{"ts": first_ms + one * 3000, "queue": f"q{one}", "fingerprint": f"f{one}"} for one in range(KINDS)]
        events = [failed(**one, **more) for one in own]
        self.records = [KafkaRecord(0, at, b"", msgspec.json.encode(one), one.ts) for at, one in enumerate(events)]

    async def start(self) -> int:
        return 1

    async def stop(self) -> None:
        pass

    async def since(self, partitions: Any, at_ms: int) -> dict[int, int]:
        return {0: 0}

    async def ends(self, partitions: Any) -> dict[int, int]:
        return {0: KINDS}

    def place(self, positions: Any) -> None:
        pass

    async def read(self, *, wait_seconds: float, most: int) -> list[KafkaRecord]:
        return self.records

    async def position(self, partition: int) -> int:
        return KINDS


@pytest.mark.parametrize("seconds", [KINDS * 1.5, KINDS * 0.5])
async def test_a_change_is_compared_over_the_same_records_when_time_runs_out(
    seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = count()  # each look at the clock takes a second
    monkeypatch.setattr("bot.rules.preview.time", SimpleNamespace(monotonic=lambda: next(ticks), time=time.time))
    past: Any = Past()
    preview = Preview(lambda: [(past, JobEvent)], RuleBook(Policy()), (b"failed",))
    before, after = await preview.compare({"stalled": Tuning(fire=9)}, hours=24, seconds=seconds)
    assert KINDS / 3 < len(before.rung) <= KINDS
    assert (after.rung, after.records, after.is_whole) == (before.rung, before.records, before.is_whole)


async def test_what_failures_were_given_is_not_kept_and_what_is_kept_has_a_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fat: Any = Past(
        data="x" * 16_384, result="x" * 16_384, error="it broke " * 1000, stack=["at pay (/app/pay.js:1:1)"]
    )
    preview = Preview(lambda: [(fat, JobEvent)], RuleBook(Policy()), (b"failed",))
    monkeypatch.setattr("bot.rules.preview.MOST_BYTES", KINDS * 1500)
    found = await preview.run({}, hours=24, only={})
    assert (len(found.rung), found.is_whole) == (KINDS, True)
    assert found.rung[0][1].last.error.startswith("it broke")
    assert found.rung[0][1].last.frame == "at pay (/app/pay.js:1:1)"
    monkeypatch.setattr("bot.rules.preview.MOST_BYTES", KINDS)
    fat.position = at_the_start
    assert not (await preview.run({}, hours=24, only={})).is_whole


async def at_the_start(partition: int) -> int:
    return 0
