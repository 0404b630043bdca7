"""The guard: what opens a breaker, what closes it, what a caller hears."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from tests.eventually import eventually
from tests.unit.tocsin.circuits import IT, Bench, Ill, Refusal
from tocsin.breakers import Unavailable


async def test_five_failures_in_a_row_open_it() -> None:
    bench = Bench()
    await bench.fail(4)
    assert bench.state == "closed"
    await bench.fail(1)
    assert bench.state == "open"


async def test_an_answer_between_failures_starts_the_count_anew() -> None:
    bench = Bench()
    for _ in range(3):
        await bench.fail(4)
        assert await bench.call() is None
    assert bench.state == "closed"


async def test_an_open_one_refuses_at_once_without_calling() -> None:
    bench = Bench()
    await bench.open()
    bench.clock.now += 59.9
    call = await bench.begin()
    assert call.was_refused
    heard = await call.end()
    assert isinstance(heard, Unavailable)
    assert (heard.dependency, heard.reason, heard.__cause__) == (IT, "breaker open", None)
    assert bench.breakers.is_open(IT)


async def test_after_its_time_three_good_trials_close_it() -> None:
    bench = Bench()
    await bench.open()
    bench.clock.now += 60
    assert not bench.breakers.is_open(IT)
    seen: list[str] = []
    for _ in range(3):
        assert await bench.call() is None
        seen.append(bench.state)
    assert seen == ["half-open", "half-open", "closed"]


async def test_one_bad_trial_opens_it_for_as_long_again() -> None:
    bench = Bench()
    trial = await bench.half_open()
    await trial.end()
    await bench.call(Ill())
    assert bench.state == "open"
    bench.clock.now += 59.9
    assert (await bench.begin()).was_refused
    bench.clock.now += 0.1
    assert not (await bench.begin()).was_refused


async def test_once_closed_it_takes_five_failures_again() -> None:
    bench = Bench()
    await (await bench.half_open()).end()
    await bench.call()
    await bench.call()
    assert bench.state == "closed"
    await bench.fail(4)
    assert bench.state == "closed"


@pytest.mark.parametrize("at", range(5))
async def test_each_failure_is_heard_as_unavailable_with_its_cause(at: int) -> None:
    """The fifth, which opens the breaker, too."""
    bench = Bench()
    await bench.fail(at)
    error = Ill("502")
    heard = await bench.call(error)
    assert isinstance(heard, Unavailable)
    assert (heard.reason, heard.__cause__) == ("Ill", error)


async def test_a_bad_trial_is_heard_with_its_cause() -> None:
    bench = Bench()
    error = Ill()
    heard = await (await bench.half_open()).end(error)
    assert isinstance(heard, Unavailable)
    assert heard.__cause__ is error


async def test_harmless_errors_pass_unchanged_and_open_nothing() -> None:
    bench = Bench()
    for _ in range(20):
        error = Refusal("no such job")
        heard = await bench.call(error)
        assert heard is error
        assert (error.__cause__, error.__context__) == (None, None)
    assert bench.state == "closed"


async def test_a_harmless_error_is_an_answer() -> None:
    bench = Bench()
    await bench.fail(4)
    await bench.call(Refusal())
    await bench.fail(4)
    assert bench.state == "closed"


@pytest.mark.parametrize("error", [StopIteration("x"), StopAsyncIteration("x"), KeyError("x"), GeneratorExit()])
async def test_no_error_of_the_block_is_swallowed_or_disguised(error: BaseException) -> None:
    bench = Bench()
    with pytest.raises(type(error)) as heard:
        async with bench.breakers.guard(IT, errors_that_count=(Ill,)):
            raise error
    assert heard.value is error


async def test_what_counts_by_default_is_every_error_even_those_that_end_generators() -> None:
    bench = Bench()
    for _ in range(5):
        with pytest.raises(Unavailable, match="StopIteration"):
            async with bench.breakers.guard(IT):
                next(iter([]))
    assert bench.state == "open"


async def test_a_value_returned_from_the_block_reaches_the_caller() -> None:
    bench = Bench()

    async def ask() -> str:
        async with bench.breakers.guard(IT):
            return "pong"

    assert await ask() == "pong"


async def test_a_cancelled_call_is_no_failure() -> None:
    bench = Bench()
    for _ in range(10):
        assert isinstance(await bench.call(asyncio.CancelledError()), asyncio.CancelledError)
    assert bench.state == "closed"


async def test_a_cancelled_call_is_no_success_either() -> None:
    bench = Bench()
    await bench.fail(4)
    await bench.call(asyncio.CancelledError())
    await bench.fail(1)
    assert bench.state == "open"


async def test_cancelled_trials_close_nothing_and_make_room_for_others() -> None:
    bench = Bench()
    await (await bench.half_open()).end(asyncio.CancelledError())
    for _ in range(9):
        assert isinstance(await bench.call(asyncio.CancelledError()), asyncio.CancelledError)
        assert bench.state == "half-open"


async def test_a_dependency_that_does_not_answer_in_time_has_failed() -> None:
    bench = Bench()
    for _ in range(5):
        with pytest.raises(Unavailable, match=r"telegram is unavailable \(no answer in 0\.01 s\)") as heard:
            async with bench.breakers.guard(IT, timeout=0.01, errors_that_count=(Ill,)):
                await asyncio.Event().wait()
        assert isinstance(heard.value.__cause__, TimeoutError)
    assert bench.state == "open"


async def test_the_deadline_is_a_setting() -> None:
    bench = Bench(environ={"BREAKER_TIMEOUT_SECONDS": "0.02"})
    with pytest.raises(Unavailable, match=r"no answer in 0\.02 s"):
        async with bench.breakers.guard(IT):
            await asyncio.Event().wait()


async def test_the_callers_own_deadline_stays_the_callers() -> None:
    bench = Bench()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01), bench.breakers.guard(IT):
            await asyncio.Event().wait()


async def test_a_timeout_raised_inside_does_not_claim_our_deadline() -> None:
    bench = Bench()
    with pytest.raises(Unavailable, match=r"\(TimeoutError\)"):
        async with bench.breakers.guard(IT, timeout=30, errors_that_count=(Ill,)):
            raise TimeoutError


async def test_another_dependency_that_is_unavailable_is_not_blamed_on_this_one() -> None:
    bench = Bench()
    await bench.fail(4)
    for _ in range(5):
        error = Unavailable("postgres", "breaker open")
        with pytest.raises(Unavailable) as heard:
            async with bench.breakers.guard(IT):
                raise error
        assert heard.value is error
    assert bench.state == "closed"
    await bench.fail(1)
    assert bench.state == "open"


async def test_a_block_may_say_itself_that_its_dependency_is_unavailable() -> None:
    bench = Bench()
    error = Unavailable(IT, "no address known")
    for _ in range(5):
        assert await bench.call(error) is error
    assert bench.state == "open"


async def test_a_refusal_is_a_refusal_also_while_another_error_is_handled() -> None:
    bench = Bench()
    await bench.open()
    try:
        raise KeyError
    except KeyError:
        with pytest.raises(Unavailable, match="breaker open"):
            async with bench.breakers.guard(IT):
                raise AssertionError("must not be called") from None
    assert bench.metric("refused_total") == 1


async def test_guards_of_two_dependencies_do_not_touch_each_other() -> None:
    bench = Bench()
    await bench.open()
    async with bench.breakers.guard("postgres"):
        pass
    assert bench.breakers.states() == {"postgres": "closed", IT: "open"}


async def test_a_guard_works_inside_another_context_manager() -> None:
    """As the doors use it: their own context manager around the guard's."""
    bench = Bench()

    @asynccontextmanager
    async def transaction() -> AsyncGenerator[str]:
        async with bench.breakers.guard(IT, errors_that_count=(Ill,)):
            yield "session"

    with pytest.raises(Refusal):
        async with transaction():
            raise Refusal
    with pytest.raises(Unavailable):
        async with transaction():
            raise Ill


async def test_metrics_show_the_state_and_the_refusals() -> None:
    bench = Bench()
    assert bench.metric("state") is None
    await bench.call()
    assert (bench.metric("state"), bench.metric("refused_total")) == (0, 0)
    await bench.open()
    await bench.call()
    assert (bench.metric("state"), bench.metric("refused_total")) == (2, 1)
    bench.clock.now += 60
    trial = await bench.begin()
    assert bench.metric("state") == 1
    await trial.end()
    await bench.call()
    await bench.call()
    assert (bench.metric("state"), bench.metric("refused_total")) == (0, 1)


class Patient:
    """A probe's dependency."""

    is_well = False
    asked = 0

    async def look(self) -> None:
        self.asked += 1
        if not self.is_well:
            raise Ill


async def test_a_probe_closes_it_early() -> None:
    bench, patient, stop = Bench(environ={"BREAKER_PROBE_SECONDS": "0.01"}), Patient(), asyncio.Event()
    bench.breakers.probe_with(IT, patient.look)
    await bench.open()
    probing = asyncio.create_task(bench.breakers.run_probes(stop))
    await eventually(lambda: patient.asked >= 2)
    assert bench.state == "open"
    patient.is_well = True
    await eventually(lambda: bench.state == "closed")
    assert await bench.call() is None
    assert (bench.metric("state"), bench.clock.now) == (0, 1000.0)
    stop.set()
    await probing


async def test_a_probe_closes_one_left_half_open_by_callers_who_went_away() -> None:
    bench, patient, stop = Bench(environ={"BREAKER_PROBE_SECONDS": "0.01"}), Patient(), asyncio.Event()
    bench.breakers.probe_with(IT, patient.look)
    await (await bench.half_open()).end()
    patient.is_well = True
    probing = asyncio.create_task(bench.breakers.run_probes(stop))
    await eventually(lambda: bench.state == "closed")
    stop.set()
    await probing


async def test_a_closed_one_is_not_probed() -> None:
    bench, patient, stop = Bench(environ={"BREAKER_PROBE_SECONDS": "0.01"}), Patient(), asyncio.Event()
    other = Patient()
    bench.breakers.probe_with("postgres", patient.look)
    bench.breakers.probe_with(IT, other.look)
    await bench.open()
    probing = asyncio.create_task(bench.breakers.run_probes(stop))
    await eventually(lambda: other.asked >= 3)
    stop.set()
    await probing
    assert patient.asked == 0


async def test_a_probe_that_hangs_has_a_deadline() -> None:
    bench = Bench(environ={"BREAKER_PROBE_SECONDS": "0.01", "BREAKER_TIMEOUT_SECONDS": "0.01"})
    stop, asked = asyncio.Event(), 0

    async def hang() -> None:
        nonlocal asked
        asked += 1
        await asyncio.Event().wait()

    bench.breakers.probe_with(IT, hang)
    await bench.open()
    probing = asyncio.create_task(bench.breakers.run_probes(stop))
    await eventually(lambda: asked >= 3)
    assert bench.state == "open"
    stop.set()
    await probing


async def test_loops_try_again_soon_and_their_first_good_call_closes_it() -> None:
    bench = Bench()
    guard = bench.breakers.guard_loops(IT, errors_that_count=(Ill,), reset_seconds=0.5)

    async def call(error: Exception | None = None) -> None:
        async with guard(5):
            if error is not None:
                raise error

    for _ in range(5):
        with pytest.raises(Unavailable):
            await call(Ill())
    with pytest.raises(Unavailable, match="breaker open"):
        await call()
    bench.clock.now += 0.5
    with pytest.raises(Unavailable, match="Ill"):
        await call(Ill())
    assert (bench.state, bench.metric("state")) == ("open", 2)
    bench.clock.now += 0.5
    await call()
    assert (bench.state, bench.metric("state"), bench.metric("refused_total")) == ("closed", 0, 1)


async def test_a_failed_call_stands_in_the_log_once_and_a_loops_own_does_not() -> None:
    bench = Bench()
    loops = bench.breakers.guard_loops("looped", errors_that_count=(Ill,), reset_seconds=0.5)
    with capture_logs() as logged:
        await bench.fail(1)
        assert await bench.call() is None
        with pytest.raises(Unavailable):
            async with loops(5):
                raise Ill
    failed = [one for one in logged if one["event"] == "call_failed"]
    assert [(one["dependency"], one["reason"]) for one in failed] == [(IT, "Ill")]


async def test_dependency_that_is_there_no_more_is_shown_no_more() -> None:
    bench = Bench()
    await bench.open()
    bench.breakers.forget(IT)
    bench.breakers.forget("never there")
    assert (bench.breakers.states(), bench.metric("state"), bench.metric("refused_total")) == ({}, None, None)
