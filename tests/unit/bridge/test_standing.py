"""A correction needs certain evidence; what is not certain says nothing."""

import pytest

from bridge.sources.bullmq.door import Refused
from bridge.sources.bullmq.reconcile.open_jobs import OpenJob, OpenJobs
from bridge.sources.bullmq.reconcile.standing import (
    LISTED,
    REPLACED,
    Correction,
    Standing,
    Unread,
    correct,
    delayed,
    orphaned,
    parse_answers,
    parse_inventory,
    parse_job,
    strangers,
    suspects,
    unread_entries,
)
from bridge.sources.bullmq.stream import Gap, Position
from tocsin.events import State

GONE = Standing(None, has_hash=False)


@pytest.mark.parametrize(
    ("job_id", "told", "evidence"),
    [
        ("1", State.WAITING, "drained, cleaned"),
        ("1", State.ACTIVE, "removeOnComplete"),
        ("repeat:a:b:123", State.DELAYED, "replaced by its scheduler"),
        ("repeat:a:b", State.DELAYED, "drained, cleaned"),
    ],
)
def test_job_that_is_nowhere_is_removed_and_the_evidence_says_how(job_id: str, told: State, evidence: str) -> None:
    found = correct(job_id, OpenJob(told), GONE)
    assert found is not None
    assert found.state is State.REMOVED
    assert evidence in found.evidence
    assert "neither its hash nor any list of the queue holds it" in found.evidence


@pytest.mark.parametrize(
    ("told", "place", "state"),
    [
        (State.WAITING, "wait", None),
        (State.WAITING, "paused", None),
        (State.STALLED, "prioritized", None),
        (State.RETRYING, "delayed", None),
        (State.RETRYING, "wait", None),
        (State.DELAYED, "delayed", None),
        (State.WAITING_CHILDREN, "waiting-children", None),
        (State.ACTIVE, "active", None),
        (State.ACTIVE, "wait", State.WAITING),
        (State.DELAYED, "wait", State.WAITING),
        (State.WAITING, "delayed", State.DELAYED),
        (State.WAITING, "active", State.ACTIVE),
        (State.ACTIVE, "completed", State.COMPLETED),
        (State.WAITING, "failed", State.FAILED),
    ],
)
def test_job_that_stands_elsewhere_is_told_to_be_there(told: State, place: str, state: State | None) -> None:
    found = correct("1", OpenJob(told, added_at=5), Standing(place, has_hash=True, added_at=5))
    assert (found and found.state) == state


@pytest.mark.parametrize(
    "found",
    [
        Standing(None, has_hash=True, added_at=5, is_in_sight=False),  # in a list too long to look through
        Standing("wait", has_hash=False),  # in a list, without a hash
        Standing("delayed", has_hash=False),
    ],
)
def test_what_is_not_certain_says_nothing(found: Standing) -> None:
    assert correct("1", OpenJob(State.ACTIVE, added_at=5), found) is None


def test_id_that_belongs_to_a_later_job_tells_the_end_of_the_first() -> None:
    found = correct("1", OpenJob(State.WAITING, added_at=5), Standing("wait", has_hash=True, added_at=6))
    assert found is not None
    assert (found.state, found.evidence) == (State.REMOVED, "its id belongs to a job added later")


def test_priority_is_told_when_it_was_known_and_differs() -> None:
    def told(priority: int | None) -> str | None:
        found = correct("1", OpenJob(State.WAITING, priority=priority), Standing("prioritized", True, priority=3))
        return found and found.evidence

    assert (told(None), told(3), told(10)) == (None, None, "its priority is now 3, was 10")


def test_orphan_lives_on_where_its_hash_does() -> None:
    job = OpenJob(State.WAITING, added_at=5)
    assert orphaned(job, Standing("wait", has_hash=True, added_at=5)) is None
    assert orphaned(job, Standing("wait", has_hash=True, added_at=6)) == REPLACED
    assert orphaned(job, GONE) is not None


def test_jobs_that_are_where_they_were_told_to_be_are_no_suspects() -> None:
    jobs = OpenJobs()
    for job_id, state, priority in (
        ("a", State.ACTIVE, None),
        ("b", State.WAITING, 2),
        ("c", State.WAITING, 2),
        ("d", State.DELAYED, 7),
        ("e", State.WAITING, 0),
        ("f", State.WAITING, 1),
    ):
        jobs.put(job_id, OpenJob(state, priority=priority))
    score = str(2 * 2**32 + 17).encode()
    found = parse_inventory([[], [b"e", b"f"], [], [b"d"], [], [b"b", score, b"c", str(3 * 2**32).encode()]])
    assert found is not None
    assert suspects(jobs, found) == (["a", "c", "f"], [])


def test_priority_of_a_job_that_is_delayed_is_none_of_its_state() -> None:
    """Nor is the correction an attempt that failed once more."""
    jobs = OpenJobs()
    for job_id, state, priority in (
        ("a", State.DELAYED, 2),
        ("b", State.RETRYING, 0),
        ("c", State.DELAYED, None),
        ("d", State.WAITING, 1),
    ):
        jobs.put(job_id, OpenJob(state, priority=priority))
    found = parse_inventory([[], [b"d"], [], [b"a", b"b", b"c"], [], []])
    assert found is not None
    assert delayed(jobs, found) == {"a": 2, "b": 0}
    told = correct("b", jobs.get("b") or OpenJob(State.ACTIVE), Standing("delayed", has_hash=True, priority=3))
    assert told == Correction(State.DELAYED, "its priority is now 3, was 0", 3)


def test_job_out_of_sight_in_a_long_list_is_no_suspect_but_may_be_asked_for() -> None:
    jobs = OpenJobs()
    jobs.put("x", OpenJob(State.WAITING))
    jobs.put("y", OpenJob(State.ACTIVE))
    found = parse_inventory([[], [str(number).encode() for number in range(LISTED)], [], [], [], []])
    assert found is not None
    assert suspects(jobs, found) == (["y"], ["x"])


def test_refusal_is_no_answer() -> None:
    no = Refused("NOPERM")
    assert parse_inventory([[], no, [], [], [], []]) is None
    assert parse_answers(["1"], [[], no, [], *[None] * 6]) is None
    answer = parse_answers(["1", "2"], [[], [], [], no, *[None] * 5, [None] * 4, *[None] * 5])
    assert answer == {"1": None, "2": GONE}


def test_the_name_of_a_job_nobody_told_of_is_redacted_and_cut() -> None:
    found = parse_job("1", [[b"sync postgres://app:canary@db/x", b"1", b"0", None], *[None] * 5], {})
    assert found is not None
    assert found.name == "sync postgres://app:[redacted]@db/x"
    found = parse_job("1", [[b"n" * 3_000_000, b"1", b"0", None], *[None] * 5], {})
    assert found is not None
    assert len(found.name) < 1100


def test_job_that_stands_nowhere_though_its_hash_is_there_is_unknown() -> None:
    found = correct("1", OpenJob(State.ACTIVE, added_at=5), Standing(None, has_hash=True, added_at=5))
    assert found is not None
    assert found.state is State.UNKNOWN
    assert "stands in no list or set" in found.evidence


@pytest.mark.parametrize(
    ("group", "waiting", "is_in_sight"), [(None, 1, True), (b"g", 1, False), (None, LISTED, False)]
)
def test_job_of_a_long_list_or_of_a_group_may_stand_out_of_sight(
    group: bytes | None, waiting: int, is_in_sight: bool
) -> None:
    lists = {"active": set[str](), "wait": {str(number) for number in range(waiting)}, "paused": set[str]()}
    found = parse_job("x", [[b"send", b"5", None, group], None, None, None, None, None], lists)
    assert found is not None
    assert (found.place, found.is_in_sight) == (None, is_in_sight)


def test_only_strangers_that_records_can_name_are_met() -> None:
    """No record shows an endless id whole, and a MB of it would not fit what is stored of the open jobs."""
    jobs = OpenJobs()
    jobs.put("1", OpenJob(State.WAITING))
    reply = [b"1", b"2", b"0:1795330800000", b"\xff", b"x" * 2000, b"x" * 1000]
    found = parse_inventory([[], reply, [], [], [], []])
    assert found is not None
    assert strangers(jobs, found) == {"2": "wait", "x" * 1000: "wait"}


@pytest.mark.parametrize(("length", "gaps", "is_told"), [(6, (), True), (4, (), False), (4, (Gap(1, 2),), True)])
def test_loss_that_nobody_noticed_yet_must_be_read_first(length: int, gaps: tuple[Gap, ...], is_told: bool) -> None:
    """Four entries were passed, six were added since: of these some may be trimmed. One that is known may not wait."""
    ids = [f"{number}-0" for number in range(5, 11)][-length:]
    raws = [[id, ["event", "waiting", "jobId", id]] for id in ids]
    info = ["length", length, "last-generated-id", "10-0", "entries-added", 10, "first-entry", raws[0]]
    position, executed = Position("4-0", 4, gaps=gaps), [info, [["k", raws]]]
    if is_told:
        assert [entry.id for entry in unread_entries(position, executed)] == ids
    else:
        with pytest.raises(Unread):
            unread_entries(position, executed)
