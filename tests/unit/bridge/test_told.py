"""What Kafka holds already of what could be rebuilt."""

import pytest

from bridge.sources.bullmq.gaps.told import Told
from tocsin.events import VERSION, JobEvent, State, encode


def told_by(*events: JobEvent) -> Told:
    told = Told(2000)
    for event in events:
        told.learn(encode(event))
    return told


def event(
    name: str, *, attempt: int = 1, ts: int = 10_000, enriched: bool = True, rebuilt: bool = False, added_at: int = 5
) -> JobEvent:
    return JobEvent(
        v=VERSION,
        id=f"main:mail:1:{ts}-0",
        ts=ts,
        env="prod",
        source="main",
        queue="mail",
        epoch=1,
        stream_id=f"{ts}-0",
        event=name,
        state=State.UNKNOWN,
        job_id="a",
        added_at=added_at,
        attempt=attempt,
        enriched=enriched,
        rebuilt=rebuilt,
    )


@pytest.mark.parametrize("name", ["completed", "failed", "retries-exhausted"])
def test_an_end_is_known_by_its_time_whatever_its_attempt(name: str) -> None:
    """The clock of the app's host may differ; a later end of the same life may have the same attempt's number."""
    told = told_by(event(name, attempt=2, ts=10_000))
    assert told.has_end("a", 5, name, 8_000)
    assert told.has_end("a", 5, name, 11_900)
    assert not told.has_end("a", 5, name, 12_100), "tried by hand, and failed again"
    assert not told.has_end("a", 5, "other", 10_000)
    assert not told.has_end("b", 5, name, 10_000)
    assert told_by(event(name, ts=20_000), event(name, ts=10_000)).has_end("a", 5, name, 20_000)
    assert not told_by().has_end("a", 5, name, 0)


def test_another_life_under_the_same_id_was_not_told() -> None:
    told = told_by(event("failed", added_at=5))
    assert not told.has_end("a", 6, "failed", 10_000)
    assert told_by(event("failed", added_at=0)).has_end("a", 6, "failed", 10_000), "nobody knows whose end it was"


def test_added_is_known_by_the_life_it_began() -> None:
    told = told_by(event("added", attempt=0))
    assert told.has("a", 5, "added", 0)
    assert not told.has("a", 6, "added", 0)


def test_what_is_told_again_and_again_counts_only_if_it_was_rebuilt() -> None:
    assert not told_by(event("active")).has("a", 5, "active", 1)
    assert told_by(event("active", rebuilt=True)).has("a", 5, "active", 1)


def test_what_is_no_record_of_this_contract_says_nothing() -> None:
    told = Told(2000)
    told.learn(b'{"event":"failed","v":')
    assert not told.has_end("", 0, "failed", 0)
