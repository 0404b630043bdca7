"""The ledger's order decides: the first claim holds, what others write is void, what is cut off is doubtful."""

from typing import Any

from bridge.actions.claims import PAGE_JOBS, Claim, fold, pages_of
from tocsin.events import VERSION, ActionKind, ActionRecord, JobOutcome, Outcome, PlannedJob


def step(kind: ActionKind, by: str, **fields: Any) -> ActionRecord:
    return ActionRecord(v=VERSION, ts=0, kind=kind, request_id="r", by=by, **fields)


def claim(by: str, *, supersedes: str = "", digest: str = "d") -> ActionRecord:
    return step(ActionKind.CLAIM, by, supersedes=supersedes, digest=digest)


def plan(by: str, page: int = 0, pages: int = 2) -> ActionRecord:
    return step(ActionKind.PLAN, by, page=page, pages=pages, planned=[PlannedJob(job_id=f"{by}{page}", stamp="1")])


def results(by: str, page: int) -> ActionRecord:
    return step(ActionKind.RESULTS, by, page=page, results=[JobOutcome(job_id=f"{page}", outcome=Outcome.DONE)])


BEGUN = [claim("a"), plan("a", 0), plan("a", 1)]


def test_nobody_has_asked() -> None:
    assert fold([]) == Claim()


def test_the_first_claim_holds_and_the_second_is_void() -> None:
    state = fold([claim("a"), claim("b"), plan("b", 0), plan("b", 1), plan("a", 0), plan("a", 1), results("b", 0)])
    assert (state.holder, state.is_planned, state.next_page, state.outcomes) == ("a", True, 0, [])
    assert state.plan[0][0].job_id == "a0"


def test_a_claim_that_names_the_holder_takes_over_and_the_holder_is_heard_no_more() -> None:
    state = fold([*BEGUN, results("a", 0), claim("b", supersedes="a"), results("a", 1), claim("c", supersedes="a")])
    assert (state.holder, state.next_page, state.is_doubtful) == ("b", 1, True)
    assert fold([*BEGUN, claim("b", supersedes="a"), results("b", 0)]).is_doubtful is False


def test_a_plan_that_was_cut_off_is_planned_anew() -> None:
    state = fold([claim("a"), plan("a", 0), claim("b", supersedes="a")])
    assert (state.is_planned, state.plan, state.is_doubtful) == (False, {}, False)


def test_a_plan_that_came_late_but_first_is_the_plan() -> None:
    """b took over because there was no plan; a's came just before b's claim."""
    state = fold([*BEGUN, results("a", 0), claim("b", supersedes="a"), plan("b", 0, 1)])
    assert (state.holder, state.pages, state.plan[0][0].job_id, state.next_page) == ("b", 2, "a0", 1)


def test_after_a_release_anybody_may_go_on() -> None:
    released = [*BEGUN, results("a", 0), step(ActionKind.RELEASE, "a")]
    assert fold(released).holder == ""
    state = fold([*released, claim("b")])
    assert (state.holder, state.is_planned, state.is_doubtful) == ("b", True, False)
    assert fold([*BEGUN, step(ActionKind.RELEASE, "a", is_cut_off=True), claim("b")]).is_doubtful is True


def test_the_end_is_the_end() -> None:
    ended = [*BEGUN, results("a", 0), results("a", 1), step(ActionKind.END, "a")]
    state = fold([*ended, claim("b", supersedes="a"), results("b", 0)])
    assert (state.is_ended, state.holder, state.next_page) == (True, "a", None)
    assert [result.job_id for result in state.outcomes] == ["0", "1"]


def test_a_claim_for_something_else_is_void() -> None:
    assert fold([*BEGUN, claim("b", supersedes="a", digest="other")]).holder == "a"


def test_pages_hold_every_job_once_and_there_is_always_one() -> None:
    jobs = [PlannedJob(job_id=str(number)) for number in range(2 * PAGE_JOBS + 1)]
    assert [len(page) for page in pages_of(jobs)] == [PAGE_JOBS, PAGE_JOBS, 1]
    assert [job for page in pages_of(jobs) for job in page] == jobs
    assert pages_of([]) == [[]]
