"""The guard when calls overlap: what a straggler tells of a past state never changes the present one."""

import asyncio
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from tests.unit.tocsin.circuits import IT, Bench, Call, Ill, Refusal
from tocsin.breakers import Unavailable


async def test_a_herd_meets_a_half_open_one() -> None:
    """As many as must succeed go through at a time; the rest hear so at once and do not touch the dependency."""
    bench = Bench()
    first = await bench.half_open()
    herd = [await bench.begin() for _ in range(100)]
    through = [call for call in herd if not call.was_refused]
    assert len(through) == 2
    refused = [await call.end() for call in herd if call.was_refused]
    assert all(isinstance(heard, Unavailable) and "half-open" in heard.reason for heard in refused)
    assert bench.breakers.is_open(IT)
    assert bench.metric("refused_total") == 98
    await asyncio.gather(*(call.end() for call in (first, *through)))
    assert bench.state == "closed"
    assert not any([(await bench.begin()).was_refused for _ in range(100)])


async def test_a_trial_that_ends_makes_room_for_one_more() -> None:
    bench = Bench(environ={"BREAKER_SUCCESS_THRESHOLD": "2"})
    first = await bench.half_open()
    await bench.begin()
    assert (await bench.begin()).was_refused
    await first.end()
    assert not (await bench.begin()).was_refused
    assert (await bench.begin()).was_refused


async def test_many_calls_that_fail_together_open_it_once() -> None:
    bench = Bench()
    calls = [await bench.begin() for _ in range(50)]
    bench.clock.now += 5
    heard = await asyncio.gather(*(call.end(Ill()) for call in calls))
    assert all(isinstance(one, Unavailable) and one.reason == "Ill" for one in heard)
    assert bench.state == "open"


async def test_stragglers_that_fail_do_not_prolong_the_open_time() -> None:
    bench = Bench()
    straggler = await bench.begin()
    await bench.open()
    bench.clock.now += 59
    await straggler.end(Ill())
    bench.clock.now += 1
    assert not (await bench.begin()).was_refused


async def test_a_straggler_of_before_the_outage_does_not_end_the_recovery() -> None:
    bench = Bench()
    straggler = await bench.begin()
    trial = await bench.half_open()
    await straggler.end(Ill())
    assert bench.state == "half-open"
    await trial.end()
    await bench.call()
    await bench.call()
    assert bench.state == "closed"


async def test_stragglers_of_before_the_outage_do_not_end_it() -> None:
    bench = Bench()
    stragglers = [await bench.begin() for _ in range(5)]
    await bench.open()
    for straggler in stragglers:
        await straggler.end()
    assert bench.state == "open"
    bench.clock.now += 60
    await bench.call(Ill())
    assert bench.state == "open"


@pytest.mark.parametrize("late", [None, Refusal(), asyncio.CancelledError()])
async def test_trials_that_end_after_one_failed_do_not_close_it(late: BaseException | None) -> None:
    bench = Bench(environ={"BREAKER_SUCCESS_THRESHOLD": "2"})
    bad = await bench.half_open()
    good = await bench.begin()
    await bad.end(Ill())
    assert bench.state == "open"
    await good.end(late)
    assert bench.state == "open"
    bench.clock.now += 60
    assert await bench.call() is None
    assert bench.state == "half-open"


async def test_a_trial_that_fails_after_the_others_closed_it_opens_nothing() -> None:
    bench = Bench()
    slow = await bench.half_open()
    for _ in range(3):
        await bench.call()
    assert bench.state == "closed"
    await slow.end(Ill())
    assert bench.state == "closed"
    await bench.fail(4)
    assert bench.state == "closed"


async def test_trials_of_the_last_time_take_no_room_now() -> None:
    bench = Bench()
    old = [await bench.half_open(), await bench.begin()]
    await (await bench.begin()).end(Ill())
    bench.clock.now += 60
    new = [await bench.begin() for _ in range(3)]
    assert not any(call.was_refused for call in new)
    for call in old:
        await call.end(asyncio.CancelledError())
    assert (await bench.begin()).was_refused


# What a breaker is, said once more without pybreaker; any interleaving must agree with it.

SMALL = {"BREAKER_FAIL_MAX": "2", "BREAKER_SUCCESS_THRESHOLD": "2"}
"""Few steps lead through all states."""


@dataclass
class Model:
    now: float = 1000.0
    state: str = "closed"
    era: int = 0
    failures: int = 0
    successes: int = 0
    opened: float = 0.0
    running: list[int] = field(default_factory=list[int])
    """The era each running call began in."""

    def change(self, state: str) -> None:
        self.state, self.era, self.failures, self.successes, self.opened = state, self.era + 1, 0, 0, self.now

    def may_begin(self) -> bool:
        if self.state == "open":
            return self.now - self.opened >= 60
        return self.state == "closed" or self.running.count(self.era) < 2

    def begin(self) -> None:
        if self.state == "open":
            self.change("half-open")
        self.running.append(self.era)

    def end(self, which: int, end: str) -> None:
        if self.running.pop(which) != self.era or end in ("cancelled", "other"):
            return
        if end == "ill":
            self.failures += 1
            if self.state == "half-open" or self.failures == 2:
                self.change("open")
        else:
            self.failures = 0
            self.successes += 1
            if self.state == "half-open" and self.successes == 2:
                self.change("closed")


ENDS = {
    "well": lambda: None,
    "harmless": Refusal,
    "ill": Ill,
    "cancelled": asyncio.CancelledError,
    "other": lambda: Unavailable("postgres", "breaker open"),
}

STEPS = some.lists(
    some.one_of(
        some.just(("begin", 0, "")),
        some.tuples(some.just("end"), some.integers(0, 9), some.sampled_from(["ill", "well", *ENDS])),
        some.tuples(some.just("wait"), some.sampled_from([20, 60]), some.just("")),
    ),
    min_size=15,
    max_size=60,
)


@settings(max_examples=200, deadline=None)
@given(STEPS)
def test_any_interleaving_agrees_with_the_model(steps: list[tuple[str, int, str]]) -> None:
    asyncio.run(_play(steps))


async def _play(steps: list[tuple[str, int, str]]) -> None:
    bench, model, calls = Bench(environ=SMALL), Model(), list[Call]()
    for step, number, end in steps:
        if step == "wait":
            bench.clock.now += number
            model.now += number
        elif step == "begin":
            call = await bench.begin()
            assert call.was_refused is not model.may_begin()
            if call.was_refused:
                await call.end()
            else:
                model.begin()
                calls.append(call)
        elif calls:
            which = number % len(calls)
            await calls.pop(which).end(ENDS[end]())
            model.end(which, end)
        assert bench.state == model.state
    for call in calls:
        await call.end()
