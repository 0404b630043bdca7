"""What Kafka holds already of what could be rebuilt."""

from bridge.sources.bullmq.told import Told
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


def test_an_end_is_known_by_its_attempt() -> None:
    told = told_by(event("failed", attempt=2))
    assert told.has("a", 5, "failed", 2)
    assert not told.has("a", 5, "failed", 3, 10_000)
    assert not told.has("a", 5, "completed", 2)
    assert not told.has("b", 5, "failed", 2)


def test_another_life_under_the_same_id_was_not_told() -> None:
    told = told_by(event("failed", added_at=5))
    assert not told.has("a", 6, "failed", 1)
    assert told_by(event("failed", added_at=0)).has("a", 6, "failed", 1), "nobody knows whose end it was"


def test_an_end_whose_attempt_was_a_guess_is_known_by_its_time() -> None:
    told = told_by(event("failed", attempt=4, enriched=False))
    assert told.has("a", 5, "failed", 3, 11_900)
    assert not told.has("a", 5, "failed", 3, 12_100)
    assert not told.has("a", 5, "completed", 3, 10_000)


def test_what_is_told_again_and_again_counts_only_if_it_was_rebuilt() -> None:
    assert not told_by(event("active")).has("a", 5, "active", 1)
    assert told_by(event("active", rebuilt=True)).has("a", 5, "active", 1)


def test_what_is_no_record_of_this_contract_says_nothing() -> None:
    told = Told(2000)
    told.learn(b'{"event":"failed","v":')
    assert not told.has("", 0, "failed", 0)
