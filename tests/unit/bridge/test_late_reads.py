"""One job's life, read in two batches cut anywhere, with its hash as of any moment after, and a restart in between."""

from collections.abc import Iterator
from itertools import combinations, combinations_with_replacement

import pytest
from msgspec.structs import replace

from bridge.sources.bullmq.enrich import JobHash
from bridge.sources.bullmq.memory import QueueMemory
from bridge.sources.bullmq.translate import remember
from tests.unit.bridge.entries import Stream, failed
from tocsin.events import JobEvent

RUN = "active/waiting"


class Life:
    """Runs of one job as BullMQ does them, each a letter: its entries, and the hash as of each.

    p: postponed, h: handed back, or put back by a rate limit, s: stalled, r: failed, to be retried, f: failed for good,
    c: completed. waits: retries are delayed.
    attempts: by the entry's index, the number of the attempt that ended there.
    """

    def __init__(self, runs: str, *, waits: bool) -> None:
        self.texts: list[str] = []
        self.hashes: list[JobHash] = []
        self.attempts: dict[int, int] = {}
        self._now, self._errors = failed(started=0, waits=waits), list[str]()
        self._add("added/send", "waiting")
        for run in runs:
            self._run(run, waits=waits)

    def _run(self, run: str, *, waits: bool) -> None:
        self._now = replace(self._now, attempts_started=(self._now.attempts_started or 0) + 1, is_running=True)
        self._add(RUN)
        self._now.is_running = False
        if run in "rfc":
            self.attempts[len(self.texts)] = self._now.attempts_made = self._now.attempts_made + 1
        if run in "rf":
            self._errors.append(f"error {self._now.attempts_made}")
            self._now.failed_reason = self._errors[-1]
            self._now.stacks = failed(*self._errors).stacks
        if run in "fc":
            self._now.finished_on = 1000 * (len(self.texts) + 1)
            self._now.is_completed = run == "c"
        self._now.stalls += run == "s"
        postponed = ("delayed/9", "waiting/delayed")
        self._add(
            *{
                "p": postponed,
                "h": ("waiting/active",),
                "s": ("waiting/active", "stalled"),
                "r": postponed if waits else ("waiting/active",),
                "f": (f"failed/{self._now.failed_reason}/active", f"retries-exhausted/{self._now.attempts_made}"),
                "c": ("completed/1/active",),
            }[run]
        )

    def _add(self, *texts: str) -> None:
        self.texts += texts
        self.hashes += [replace(self._now)] * len(texts)


@pytest.mark.parametrize("is_restarted", [False, True], ids=["", "restarted"])
@pytest.mark.parametrize(
    ("runs", "waits"),
    [
        *(("c", False), ("f", False), ("rrf", False), ("rrf", True), ("rrc", False), ("rrc", True), ("rf", True)),
        *(("pc", False), ("prc", False), ("prf", False), ("src", False), ("rsf", False)),
        *(("hc", False), ("hc", True), ("hf", False)),
    ],
)
def test_each_attempt_is_told_for_sure_whenever_its_hash_is_read(runs: str, *, waits: bool, is_restarted: bool) -> None:
    for where, life, told in readings(Life(runs, waits=waits), is_restarted=is_restarted):
        for at, event in enumerate(told):
            assert event.enriched, f"{where}: {at} ({life.texts[at]}) is not known"
            is_right(life, at, event, where)


def test_a_retry_beside_a_run_that_was_handed_back_is_told_right_or_as_doubtful() -> None:
    """Redis holds the same of a run handed back and then one failed, and of these the other way round."""
    doubtful = 0
    for where, life, told in readings(Life("hrc", waits=False), is_restarted=False):
        for at, event in enumerate(told):
            if event.enriched:
                is_right(life, at, event, where)
            doubtful += not event.enriched
    assert doubtful


def is_right(life: Life, at: int, event: JobEvent, where: str) -> None:
    is_end = event.state == "retrying" or event.event in ("completed", "failed")
    assert is_end == (at in life.attempts), f"{where}: {at} ({life.texts[at]}) is {event.state}"
    if is_end:
        assert event.attempt == life.attempts[at], f"{where}: {at} is attempt {event.attempt}"
        assert event.event == "completed" or event.error == f"error {event.attempt}"


def readings(life: Life, *, is_restarted: bool) -> Iterator[tuple[str, Life, list[JobEvent]]]:
    """What is told of a life, wherever its batches are cut and whenever its hash is read."""
    count = len(life.texts)
    for cut, end in combinations(range(1, count + 1), 2):
        if "stalled" in (life.texts[cut], *life.texts[end : end + 1]):
            continue  # no batch ends before that
        for early, late in combinations_with_replacement(range(cut - 1, count), 2):
            if late >= end - 1:
                told = tell_in_two(life, cut, end, early, late, is_restarted=is_restarted)
                yield f"cut before {cut} and {end}, hashes as of {early} and {late}", life, told


def tell_in_two(life: Life, cut: int, end: int, early: int, late: int, *, is_restarted: bool) -> list[JobEvent]:
    """The entries before the cut with the hash as of entry `early`, those up to the end with that as of `late`."""
    stream = Stream()
    entries = stream.entries(*life.texts[:end])
    told = stream.tell(*entries[:cut], hashes={"1": life.hashes[early]})
    if is_restarted:
        stream.memory = QueueMemory()
        remember(entries[:cut], stream.memory)
    return told + stream.tell(*entries[cut:], hashes={"1": life.hashes[late]})
