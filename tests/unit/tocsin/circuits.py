"""Guarded calls whose ends a test decides, on a clock it turns: any interleaving can be played."""

import asyncio
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry

from tocsin.breakers import Breakers
from tocsin.settings import Settings, read

IT = "telegram"
"""The dependency."""


class Ill(Exception):
    """What a sick dependency raises."""


class Refusal(Exception):
    """What a healthy one may answer: not found, say."""


def settings(**given: str) -> Settings:
    return read(Settings, {"KAFKA_BOOTSTRAP_SERVERS": "localhost:9092"} | given)


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Bench:
    """A breaker with the defaults of the design: 5 failures, 60 s, 3 good trials."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    clock: Clock = field(default_factory=Clock)
    environ: dict[str, str] = field(default_factory=dict[str, str])

    def __post_init__(self) -> None:
        self.breakers = Breakers(settings(**self.environ), self.registry, clock=self.clock)

    @property
    def state(self) -> str:
        return self.breakers.states().get(IT, "closed")

    async def call(self, error: BaseException | None = None) -> BaseException | None:
        """One call from begin to end; return what the caller heard."""
        return await (await self.begin()).end(error)

    async def fail(self, times: int) -> None:
        for _ in range(times):
            await self.call(Ill())

    async def begin(self) -> "Call":
        """Begin a call and let it get as far as it can."""
        call = Call(self.breakers)
        await call.begun()
        return call

    async def open(self) -> None:
        await self.fail(5)
        assert self.state == "open"

    async def half_open(self) -> "Call":
        """Open it, let its time pass, and begin the first trial."""
        await self.open()
        self.clock.now += 60
        trial = await self.begin()
        assert self.state == "half-open"
        return trial

    def metric(self, name: str) -> float | None:
        return self.registry.get_sample_value(f"tocsin_breaker_{name}", {"dependency": IT})


class Call:
    """A guarded call that lasts until the test ends it."""

    def __init__(self, breakers: Breakers) -> None:
        self._breakers = breakers
        self._answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._inside = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> BaseException | None:
        try:
            async with self._breakers.guard(IT, timeout=3600, errors_that_count=(Ill,)):
                self._inside.set()
                await self._answer
        except (asyncio.CancelledError, Exception) as heard:  # noqa: BLE001  # whatever is heard is what the test asks for
            return heard
        return None

    async def begun(self) -> None:
        inside = asyncio.create_task(self._inside.wait())
        await asyncio.wait({self._task, inside}, return_when=asyncio.FIRST_COMPLETED)
        inside.cancel()

    @property
    def was_refused(self) -> bool:
        return not self._inside.is_set()

    async def end(self, error: BaseException | None = None) -> BaseException | None:
        """End the call so; return what its caller heard."""
        if isinstance(error, asyncio.CancelledError):
            self._task.cancel()
        elif not self._answer.done():
            if error:
                self._answer.set_exception(error)
            else:
                self._answer.set_result(None)
        heard = await self._task
        if self._answer.done() and not self._answer.cancelled():
            self._answer.exception()
        return heard
