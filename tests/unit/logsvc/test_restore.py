"""Where to go on after an assignment."""

from logsvc.ingest.batch import Span
from logsvc.ingest.restore import Found, Start, doubtful, plan


def found(
    committed: int | None = None,
    metadata: str = "",
    *,
    begin: int = 0,
    end: int = 100,
    newest: dict[str, int] | None = None,
) -> Found:
    return Found(committed, metadata, begin, end, newest or {})


def test_a_new_partition_is_read_from_its_start() -> None:
    assert plan("c", found(begin=5)) == Start(5, "c")


def test_a_finished_commit_goes_on_at_its_offset() -> None:
    assert plan("c", found(40, "", newest={"c": 39})) == Start(40, "c", stored_through=39)


def test_an_open_range_is_recovered_first() -> None:
    assert plan("c", found(40, "40-49", newest={"c": 39})) == Start(40, "c", Span(40, 49), stored_through=39)


def test_a_lost_position_goes_on_after_what_is_stored() -> None:
    assert plan("c", found(None, newest={"c": 39})) == Start(40, "c", stored_through=39, is_position_lost=True)


def test_expired_records_are_counted() -> None:
    assert plan("c", found(40, begin=70)) == Start(70, "c", expired=30)


def test_an_open_range_that_expired_in_part_is_still_checked() -> None:
    assert plan("c", found(40, "40-80", begin=70)).recover == Span(40, 80)
    assert plan("c", found(40, "40-60", begin=70)).recover is None


def test_stored_offsets_beyond_the_end_are_another_life() -> None:
    assert plan("c", found(10, end=20, newest={"c": 20})) == Start(0, "c#1", reborn_from="c")
    assert plan("c", found(None, begin=3, end=20, newest={"c": 500, "c#1": 20})) == Start(3, "c#2", reborn_from="c#1")


def test_a_commit_beyond_the_end_is_another_life() -> None:
    assert plan("c", found(101, end=100)) == Start(0, "c#1", reborn_from="c")
    assert plan("c", found(90, "90-100", end=100)).incarnation == "c#1"


def test_the_newest_life_of_this_cluster_counts() -> None:
    assert plan("c", found(31, newest={"c": 500, "c#1": 30})) == Start(31, "c#1", stored_through=30)


def test_another_cluster_is_said() -> None:
    assert plan("new", found(None, newest={"old": 500})) == Start(0, "new", reborn_from="old")
    assert plan("new", found(7, newest={"old": 500, "new": 6})).reborn_from == ""


def test_a_lost_position_and_a_log_that_is_too_short_are_doubtful() -> None:
    assert doubtful("c", found(None, newest={"c": 39})) == "c"
    assert doubtful("c", found(None, newest={"c": 500, "c#1": 7})) == "c#1"
    assert doubtful("c", found(40, newest={"c": 100})) == "c"
    assert doubtful("c", found(101, newest={"c": 39})) == "c"
    assert doubtful("c", found(40, newest={"c": 39})) is None
    assert doubtful("c", found(None, begin=40, newest={"c": 39})) is None
    assert doubtful("c", found(None, newest={"other": 39})) is None


def test_other_records_at_a_stored_offset_are_another_life() -> None:
    told = Found(None, "", 0, 100, {"c": 39}, departs=0)
    assert plan("c", told) == Start(0, "c#1", reborn_from="c")


def test_the_same_records_at_the_stored_offsets_are_the_same_life() -> None:
    told = Found(None, "", 0, 100, {"c": 39}, departs=40)
    assert plan("c", told) == Start(40, "c", stored_through=39, is_position_lost=True)


def test_a_log_that_was_cut_goes_on_where_it_departs_from_what_is_stored() -> None:
    assert plan("c", Found(1001, "", 0, 990, {"c": 1000}, departs=990)) == Start(990, "c#1", reborn_from="c")
    assert plan("c", Found(None, "", 0, 995, {"c": 1000}, departs=990)) == Start(990, "c#1", reborn_from="c")
