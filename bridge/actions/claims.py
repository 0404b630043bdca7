"""The steps of one request, in the log's order -> who holds it, what is planned, what is done: pure.

Every replica reads the same order, so all agree on who acts: the first claim that followed what was then so.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tocsin.events import ActionKind, ActionRecord, JobOutcome, PlannedJob

PAGE_JOBS = 100


@dataclass(slots=True)
class Claim:
    """A request's state. holder "" = nobody is at it. is_doubtful: the next page may have been begun by who is gone."""

    holder: str = ""
    digest: str = ""
    is_doubtful: bool = False
    pages: int | None = None
    plan: dict[int, list[PlannedJob]] = field(default_factory=dict[int, list[PlannedJob]])
    results: dict[int, list[JobOutcome]] = field(default_factory=dict[int, list[JobOutcome]])
    is_ended: bool = False

    @property
    def is_planned(self) -> bool:
        """Whether every page of the plan is there."""
        return self.pages is not None and len(self.plan) == self.pages

    @property
    def next_page(self) -> int | None:
        """The first page without results; None = there is none."""
        return next((page for page in sorted(self.plan) if page not in self.results), None)

    @property
    def outcomes(self) -> list[JobOutcome]:
        """All results so far, in the plan's order."""
        return [result for page in sorted(self.results) for result in self.results[page]]


def fold(records: Iterable[ActionRecord]) -> Claim:
    """The state after these records, all of one request."""
    claim = Claim()
    for record in records:
        if record.kind is ActionKind.CLAIM:
            _take_up(claim, record)
        elif record.by == claim.holder:
            _step(claim, record)
    return claim


def _take_up(claim: Claim, record: ActionRecord) -> None:
    if claim.is_ended or record.supersedes != claim.holder or claim.digest not in ("", record.digest):
        return
    if not claim.is_planned:
        claim.plan.clear()
        claim.pages = None
    elif claim.holder:
        claim.is_doubtful = True
    claim.holder, claim.digest = record.by, record.digest


def _step(claim: Claim, record: ActionRecord) -> None:
    match record.kind:
        case ActionKind.PLAN if claim.is_planned:
            pass  # made by who had not seen that there is one
        case ActionKind.PLAN:
            claim.pages = record.pages
            claim.plan[record.page] = record.planned
        case ActionKind.RESULTS:
            claim.results[record.page] = record.results
            claim.is_doubtful = False
        case ActionKind.RELEASE:
            claim.holder = ""
            claim.is_doubtful |= record.is_cut_off
        case ActionKind.END:
            claim.is_ended = True
        case ActionKind.CLAIM:
            pass


def pages_of(planned: Sequence[PlannedJob]) -> list[list[PlannedJob]]:
    """A plan in pages; one at least, so that a plan without jobs is one too."""
    return [list(planned[at : at + PAGE_JOBS]) for at in range(0, len(planned), PAGE_JOBS)] or [[]]


def stamp_of(score: str | float) -> str:
    """A score in a sorted set as a stamp: whole, however Redis or its client writes it."""
    return str(int(float(score)))
