"""Circuit breakers around remote calls: the one place that knows pybreaker.

A dependency that failed `fail_max` times in a row is not called again until `reset_seconds` have passed, or until a
probe finds it well. While its breaker is open a caller hears `Unavailable` at once and answers from what it last knew.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge
from pybreaker import (
    STATE_CLOSED,
    STATE_HALF_OPEN,
    STATE_OPEN,
    CircuitBreaker,
    CircuitBreakerListener,
    CircuitBreakerState,
)

from tocsin.lifecycle import pause
from tocsin.settings import Settings

log = structlog.get_logger("breakers")

Probe = Callable[[], Awaitable[object]]
"""A cheap call that raises while the dependency is ill."""

Guard = Callable[[float], AbstractAsyncContextManager[object]]
"""Makes what holds one call: a deadline in so many seconds, and a breaker that may refuse it. asyncio.timeout does so
without one."""

STATES = {STATE_CLOSED: 0, STATE_HALF_OPEN: 1, STATE_OPEN: 2}


class Unavailable(Exception):
    """A dependency cannot be used now: its breaker is open, it did not answer in time, or it refused.

    The library's error, if there was one, is the cause.
    """

    def __init__(self, dependency: str, reason: str) -> None:
        super().__init__(f"{dependency} is unavailable ({reason})")
        self.dependency = dependency
        self.reason = reason


class Breakers:
    """One breaker per dependency of a service, made on first use, shown in metrics and `states`.

    For the tasks of one event loop; not for threads. clock: seconds, never set back.
    """

    def __init__(
        self, settings: Settings, registry: CollectorRegistry, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._circuits: dict[str, _Circuit] = {}
        self._probes: dict[str, Probe] = {}
        prefix = settings.service
        self._state = Gauge(
            f"{prefix}_breaker_state", "0 closed, 1 half-open, 2 open", ["dependency"], registry=registry
        )
        self._refused = Counter(
            f"{prefix}_breaker_refused_total", "Calls refused by an open breaker", ["dependency"], registry=registry
        )

    def states(self) -> Mapping[str, str]:
        """Dependency -> closed, half-open or open; for `/status` and the System page."""
        return {name: circuit.state for name, circuit in sorted(self._circuits.items())}

    def is_open(self, dependency: str) -> bool:
        """Whether a call would be refused now."""
        return self._circuit(dependency).refusal() is not None

    @asynccontextmanager
    async def guard(
        self,
        dependency: str,
        *,
        timeout: float | None = None,
        errors_that_count: tuple[type[Exception], ...] = (Exception,),
        is_loop: bool = False,
    ) -> AsyncGenerator[None]:
        """Run the block under the dependency's breaker and a deadline (seconds; default BREAKER_TIMEOUT_SECONDS).

        errors_that_count: what a sick dependency raises. They, and a passed deadline, count as failures and come out
        as Unavailable. Any other error (a 404, a bug) comes out as it is: the dependency answered, which counts as
        success. A cancelled call, and one that failed because *another* dependency is Unavailable, count as nothing:
        give a deadline shorter than the caller's own, or a dependency that hangs is never found out.

        A failure stands in the log once, here: whoever answers a person otherwise need not say it again. is_loop: it
        is called again and again by itself, and its caller logs as it sees fit.
        """
        circuit = self._circuit(dependency)
        if refusal := circuit.refusal():
            self._refused.labels(dependency).inc()
            raise Unavailable(dependency, refusal)
        seconds = self._settings.breaker_timeout_seconds if timeout is None else timeout
        began = circuit.begin()
        deadline = asyncio.timeout(seconds)
        is_well: bool | None = None
        try:
            async with deadline:
                yield
            is_well = True
        except Unavailable as error:
            is_well = False if error.dependency == dependency else None
            raise
        except (TimeoutError, *errors_that_count) as error:
            is_well = False
            reason = f"no answer in {seconds:g} s" if deadline.expired() else type(error).__name__
            if not is_loop:
                log.info("call_failed", dependency=dependency, reason=reason)
            raise Unavailable(dependency, reason) from error
        except Exception:
            is_well = True
            raise
        finally:
            circuit.end(began, is_well)

    def guard_loops(
        self, dependency: str, *, errors_that_count: tuple[type[Exception], ...], reset_seconds: float
    ) -> Guard:
        """A guard for loops that ask again and again by themselves: their own calls are the probes.

        They may soon try again, some at a time whatever the number of loops, and the first that succeeds closes it.
        """
        self._make_circuit(dependency, reset_seconds=reset_seconds, success_threshold=1)
        return lambda seconds: self.guard(
            dependency, timeout=seconds, errors_that_count=errors_that_count, is_loop=True
        )

    def forget(self, dependency: str) -> None:
        """It is there no more, and nobody calls it again."""
        if self._circuits.pop(dependency, None) is not None:
            self._state.remove(dependency)
            self._refused.remove(dependency)

    def probe_with(self, dependency: str, probe: Probe) -> None:
        """Let `run_probes` close this dependency's breaker early, as soon as `probe` succeeds."""
        self._circuit(dependency)  # its state shows from the start
        self._probes[dependency] = probe

    async def run_probes(self, stop: asyncio.Event) -> None:
        """Probe what is not closed until stop is set (a part of the service)."""
        while not await pause(stop, self._settings.breaker_probe_seconds):
            for dependency, probe in list(self._probes.items()):
                if self._circuit(dependency).state != STATE_CLOSED:
                    await self._try_to_close(dependency, probe)

    async def _try_to_close(self, dependency: str, probe: Probe) -> None:
        try:
            async with asyncio.timeout(self._settings.breaker_timeout_seconds):
                await probe()
        except Exception as error:  # noqa: BLE001  # any failure of a probe means: still ill
            log.info("breaker_probe_failed", dependency=dependency, error=type(error).__name__)
            return
        self._circuit(dependency).close()

    def _circuit(self, dependency: str) -> "_Circuit":
        if dependency not in self._circuits:
            self._make_circuit(
                dependency,
                reset_seconds=self._settings.breaker_reset_seconds,
                success_threshold=self._settings.breaker_success_threshold,
            )
        return self._circuits[dependency]

    def _make_circuit(self, dependency: str, *, reset_seconds: float, success_threshold: int) -> None:
        self._refused.labels(dependency)  # shows 0 from the start
        breaker = CircuitBreaker(
            fail_max=self._settings.breaker_fail_max,
            success_threshold=success_threshold,
            name=dependency,
            throw_new_error_on_trip=False,
        )
        most_trials = self._settings.breaker_success_threshold
        self._circuits[dependency] = _Circuit(breaker, self._state, self._clock, reset_seconds, most_trials)


class _Circuit(CircuitBreakerListener):
    """A pybreaker and what it lacks for calls that overlap.

    pybreaker counts and changes state; here is decided who may call, and whose result it hears:

    * A result counts only in the state its call began in. pybreaker's own `calling()` applies it to the state of the
      beginning, whatever has happened since: a straggler would open a closed breaker, or close an open one.
    * While half-open only some calls at a time are let through: a herd would fell what is just rising.
    * A cancelled call says nothing. To pybreaker an excluded exception is a success.
    * Time is the monotonic clock's. pybreaker's is the wall clock, which may be set.
    """

    def __init__(
        self, breaker: CircuitBreaker, gauge: Gauge, clock: Callable[[], float], reset_seconds: float, most_trials: int
    ) -> None:
        self._gauge = gauge.labels(breaker.name)
        self._gauge.set(STATES[STATE_CLOSED])
        self._clock = clock
        self._reset_seconds = reset_seconds
        self._most_trials = most_trials
        self._opened_at = 0.0
        self._trials = 0
        self._breaker = breaker
        breaker.add_listener(self)

    @property
    def state(self) -> str:
        return self._breaker.current_state

    def refusal(self) -> str | None:
        """Why a call may not begin now; None if it may."""
        if self.state == STATE_OPEN and self._clock() - self._opened_at < self._reset_seconds:
            return "breaker open"
        if self.state == STATE_HALF_OPEN and self._trials >= self._most_trials:
            return "breaker half-open, trial calls under way"
        return None

    def begin(self) -> CircuitBreakerState:
        """Begin a call that is not refused; return the state it began in, for `end`."""
        if self.state == STATE_OPEN:
            self._breaker.half_open()
        if self.state == STATE_HALF_OPEN:
            self._trials += 1
        return self._breaker.state

    def end(self, began: CircuitBreakerState, is_well: bool | None) -> None:
        """End a call. is_well: whether the dependency did its part; None if the call tells nothing."""
        if began is not self._breaker.state:
            return
        if self.state == STATE_HALF_OPEN:
            self._trials -= 1
        if is_well is not None:
            with suppress(_Failure):
                self._breaker.call(_succeed if is_well else _fail)

    def close(self) -> None:
        if self.state != STATE_CLOSED:
            self._breaker.close()

    def state_change(self, cb: CircuitBreaker, old_state: CircuitBreakerState | None, new_state: Any) -> None:
        """Called by pybreaker when the state has changed."""
        self._trials = 0
        self._opened_at = self._clock()
        self._gauge.set(STATES[new_state.name])
        log.warning("breaker_changed", dependency=cb.name, was=old_state and old_state.name, now=new_state.name)


class _Failure(Exception):
    """Tells pybreaker of a failure, and comes back from it; the real error goes to the caller."""


def _succeed() -> None:
    pass


def _fail() -> None:
    raise _Failure
