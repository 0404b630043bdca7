"""What has changed lately, for pages that ask anew themselves: told at most once a second for each thing. Pure."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import product

import msgspec

from logsvc.errors import BadRequest
from tocsin.refresh import OWN_TYPES, TYPES, Refresh, RefreshType, Touched

LEAST_SECONDS = 1.0
MOST_OF_A_QUEUE = 100
"""Jobs of one queue that are named apart in a second; beyond that the queue's jobs are told as one."""
MOST = 5_000
MOST_TERMS = 200
OF_JOBS = ("job-refresh", "log-refresh")

_Pattern = tuple[str, str | None, str | None]
"""Type, queue, and job or scheduler. "": any is asked for. None: no certain one is told of."""


class Refreshes:
    """Collects changes; `due` gives those that may be told now. What came too soon is told later."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._waiting: dict[Refresh, None] = {}
        self._named: Counter[tuple[str, str]] = Counter()
        self._told: dict[Refresh, float] = {}

    def add(self, refresh: Refresh) -> None:
        """Note a change."""
        if refresh in self._waiting:
            return
        key = refresh.type, refresh.data.queue_name
        if self._named[key] >= MOST_OF_A_QUEUE:
            of_queue = Touched(queue_name=refresh.data.queue_name)
            refresh = Refresh(refresh.type, of_queue if len(self._waiting) < MOST else Touched())
        elif len(self._waiting) >= MOST:
            refresh = Refresh(refresh.type)
        else:
            self._named[key] += 1
        self._waiting[refresh] = None

    def due(self) -> Sequence[Refresh]:
        """Remove and return what may be told now, in the order it came."""
        now = self._clock()
        self._told = {refresh: at for refresh, at in self._told.items() if now - at < LEAST_SECONDS}
        ready = [refresh for refresh in self._waiting if refresh not in self._told]
        for refresh in ready:
            del self._waiting[refresh]
            self._told[refresh] = now
        self._named = Counter((one.type, one.data.queue_name) for one in {**self._waiting, **self._told})
        return ready


class Term(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """A part of a subscription; what is left out stands for any. Of our own types only the type counts."""

    type: str = ""
    queue_name: str = ""
    job_id: str = ""
    scheduler_key: str = ""

    def patterns(self) -> Iterator[_Pattern]:
        """What messages it is for, as `_patterns_of` names them: also of one that names no queue, or nothing in it."""
        for kind in TYPES if not self.type else (self.type,):
            if kind in OWN_TYPES:
                yield kind, None, None
                continue
            name, other = self.job_id, self.scheduler_key
            if kind not in OF_JOBS:
                name, other = other, name
            if not other:  # no message of this type can be about it
                yield from product((kind,), (self.queue_name, None), (name, None))


class Subscription:
    """What one viewer wants to hear of, and what waits for it. Bounded: beyond MOST it hears that all has changed.

    A message costs the same however many terms there are.
    """

    def __init__(self, terms: Sequence[Term] = (Term(),)) -> None:
        self._waiting: dict[Refresh, None] = {}
        self.ask_for(terms)

    def ask_for(self, terms: Sequence[Term]) -> None:
        """Want these from now on, in place of what was wanted before."""
        self._patterns = frozenset(one for term in terms for one in term.patterns())

    def offer(self, refreshes: Iterable[Refresh]) -> bool:
        """Keep what is wanted; return whether anything waits."""
        for refresh in refreshes:
            if not self._patterns.isdisjoint(_patterns_of(refresh)):
                self._waiting[refresh] = None
        if len(self._waiting) > MOST:
            self._waiting = {Refresh(kind): None for kind in (*TYPES, *OWN_TYPES) if self.wants_any(kind)}
        return bool(self._waiting)

    def wants_any(self, kind: RefreshType) -> bool:
        """Whether anything of this kind is wanted."""
        return (kind, None, None) in self._patterns

    def take(self) -> Sequence[Refresh]:
        """Remove and return all that waits."""
        waiting, self._waiting = self._waiting, {}
        return list(waiting)


def _patterns_of(refresh: Refresh) -> Iterable[_Pattern]:
    """What a term that wants it has one of. A message about jobs that names none may be about any."""
    said = refresh.data
    name = said.job_id if refresh.type in OF_JOBS else said.scheduler_key
    if refresh.type in OWN_TYPES:
        return ((refresh.type, None, None),)
    return product(
        (refresh.type,), (said.queue_name, "") if said.queue_name else (None,), (name, "") if name else (None,)
    )


def parse_terms(asked: object) -> Sequence[Term]:
    """Read `[{"type":…,"queueName":…}, …]`. Raises BadRequest."""
    try:
        terms = msgspec.convert(asked, list[Term])
    except msgspec.ValidationError as error:
        raise BadRequest(f"to: {error}") from None
    if len(terms) > MOST_TERMS:
        raise BadRequest(f"to: at most {MOST_TERMS}")
    if unknown := {term.type for term in terms} - {"", *TYPES, *OWN_TYPES}:
        raise BadRequest(f"type: {min(unknown)} is none of {', '.join((*TYPES, *OWN_TYPES))}")
    return terms
