"""All queues of a process together remember so much and no more, and those that hold most give."""

from hypothesis import given
from hypothesis import strategies as st

from bridge.record import Record
from bridge.records import Records
from bridge.sources.bullmq.budget import Budget
from bridge.sources.bullmq.logs.place import LogPlace
from bridge.sources.bullmq.logs.tail import LogTail
from bridge.sources.bullmq.memory import QueueMemory
from bridge.sources.bullmq.stream import Entry, Position, Reading, Recent
from tests.unit.bridge.entries import PLACE
from tocsin.topics import Topics

MOST = 1000


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 600)), max_size=60))
def test_after_one_reading_of_each_queue_no_more_is_held_than_may_be(grown: list[tuple[int, int]]) -> None:
    budget, held = Budget(MOST), dict.fromkeys(range(10), 0)

    def read(queue: int, more: int) -> None:
        wanted = held[queue] + more
        held[queue] = min(wanted, budget.hold(queue, wanted))
        budget.hold(queue, held[queue])

    for queue, more in grown:
        small = {one: amount for one, amount in held.items() if amount < MOST // 20}
        read(queue, more)
        for one, amount in small.items():
            assert held[one] >= amount, "a twentieth of it for one of ten: that is nobody's to take"
    for queue in held:
        read(queue, 0)
    assert sum(held.values()) <= MOST


def test_what_queues_left_is_for_others() -> None:
    budget = Budget(MOST)
    assert budget.hold("a", 900) == 900
    assert budget.hold("b", 200) == 700, "the level: with what b holds that makes nine tenths"
    assert budget.hold("a", 750) == 700
    assert budget.hold("a", 700) == 700
    budget.leave("a")
    assert budget.hold("b", 890) == 890
    assert budget.hold("b", 950) == 900


def test_the_oldest_is_forgotten_but_nothing_of_a_job_that_goes_on() -> None:
    memory, recent = QueueMemory(), Recent()
    tail = LogTail("eu", PLACE, Records(Topics("t.")), memory, {}, lambda job_id: job_id == "open")
    memory.run("runs", since=1)
    for job_id in ("open", "a", "b"):
        memory.job(job_id)
    for job_id in ("runs", "open", "a", "b"):
        tail.move(job_id, LogPlace(1), 1)
    entries = [Entry(f"{at}-0", {}, "added", "a", at, 1) for at in (1, 2, 3)]
    recent.pass_on(Reading(entries, Position("3-0", 3)))
    assert (len(memory), len(tail), len(recent)) == (4, 4, 3)

    memory.shrink(2)
    assert [job_id in memory for job_id in ("runs", "open", "a", "b")] == [True, False, False, True]
    memory.shrink(0)
    assert [job_id in memory for job_id in ("runs", "b")] == [True, False]

    assert not tail.is_full
    assert [record.key for record in tail.shrink(3, 1) if record.value is None] == [b"eu:main:mail:a"]
    assert [record.key for record in tail.shrink(0, 1)] == [b"eu:main:mail:b"]
    assert tail.shrink(0, 1) == list[Record]()
    assert [job_id in tail for job_id in ("runs", "open")] == [True, True]
    assert tail.is_full, "of another job it may have been given up"

    recent.shrink(2)
    assert (len(recent), recent.last_in(["3-0"]), recent.last_in(["1-0"])) == (2, ("3-0", 3), None)
