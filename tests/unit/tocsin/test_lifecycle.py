"""How a service ends, with real signals to a real process."""

import asyncio
import gc
import json
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.eventually import READY_SECONDS, eventually
from tests.ports import free_port
from tocsin.lifecycle import PartExited, close_within, first_set, pause, supervise

ROOT = Path(__file__).parents[3]
DEADLINE = READY_SECONDS
BOTH = pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])


@dataclass
class Ended:
    """What a process left behind. words: what happened, in order. log: its log lines."""

    status: int
    words: list[str] = field(default_factory=list[str])
    log: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def events(self) -> list[str]:
        return [line["event"] for line in self.log]


async def live(*way: str, signals: dict[str, signal.Signals] | None = None) -> Ended:
    """Run the service to its end. signals: word -> what to send when the process has said it."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.unit.tocsin.service", *way), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout
    ended = Ended(0)
    try:
        async with asyncio.timeout(DEADLINE):
            async for raw in process.stdout:
                line = raw.decode().rstrip()
                if line.startswith("{"):
                    ended.log.append(json.loads(line))
                else:
                    ended.words.append(line)
                word = ended.log[-1]["event"] if line.startswith("{") else line
                if signals and word in signals:
                    process.send_signal(signals[word])
            ended.status = await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return ended


@BOTH
async def test_a_signal_lets_every_part_drain(signum: signal.Signals) -> None:
    ended = await live("drain", signals={"ready": signum})
    assert ended.words == ["ready", "flushed", "late []"]
    assert ended.status == 0
    assert ended.events() == ["stopping", "stopped"]
    assert ended.log[0]["signal"] == signum.name


async def test_a_crash_ends_the_service_with_its_traceback_in_the_log() -> None:
    ended = await live("crash")
    assert (ended.status, ended.words) == (1, ["ready", "cancelled"])
    [crash] = ended.log
    assert (crash["event"], crash["error"]) == ("service_crashed", "RuntimeError")
    assert "RuntimeError: lost its way" in crash["exception"]
    assert "in crashes" in crash["exception"]


async def test_a_part_that_returns_early_is_a_crash() -> None:
    ended = await live("early")
    assert (ended.status, ended.words) == (1, ["ready", "cancelled"])
    [crash] = ended.log
    assert crash["error"] == "PartExited"
    assert "other returned before the service was asked to stop" in crash["exception"]


async def test_a_late_part_is_cancelled_and_named() -> None:
    ended = await live("late", signals={"ready": signal.SIGTERM})
    assert (ended.status, ended.words) == (0, ["ready", "flushed", "late ['other']"])


async def test_a_failing_flush_is_told_and_does_not_cost_the_other_parts_theirs() -> None:
    ended = await live("flush", signals={"ready": signal.SIGTERM})
    assert (ended.status, ended.words) == (1, ["ready", "flushed"])
    assert ended.events() == ["stopping", "service_crashed"]
    assert "OSError: no space left" in ended.log[1]["exception"]


@BOTH
async def test_a_second_signal_ends_it_at_once(signum: signal.Signals) -> None:
    ended = await live("hang", signals={"ready": signal.SIGTERM, "refused": signum})
    assert (ended.status, ended.words) == (130, ["ready", "flushed", "refused"])


async def test_the_web_server_leaves_the_signal_to_us_and_answers_what_was_asked() -> None:
    """uvicorn would take the signal for itself and then raise it again: the drain would end half-way, status 143."""
    ended = await live("serve", str(free_port()), signals={"ready": signal.SIGTERM})
    assert (ended.status, sorted(ended.words)) == (0, ["flushed", "late []", "ready", "whole"])
    assert ended.events() == ["stopping", "stopped"]


# The same without a process, for what a process shows badly.


async def until_stopped(stop: asyncio.Event) -> None:
    await stop.wait()


def crash(error: Exception) -> Callable[[], Any]:
    async def part() -> None:
        raise error

    return part


async def test_every_crash_is_told() -> None:
    stop = asyncio.Event()
    with pytest.raises(ExceptionGroup) as told:
        await supervise({"a": crash(OSError()), "b": crash(ValueError())}, stop, drain_seconds=1)
    assert {type(error) for error in told.value.exceptions} == {OSError, ValueError}


async def test_every_failing_flush_is_told() -> None:
    stop = asyncio.Event()
    stop.set()
    with pytest.raises(ExceptionGroup) as told:
        await supervise({"a": crash(OSError()), "b": crash(ValueError())}, stop, drain_seconds=1)
    assert {type(error) for error in told.value.exceptions} == {OSError, ValueError}


async def test_a_part_whose_own_work_was_cancelled_is_not_gone_unnoticed() -> None:
    stop = asyncio.Event()

    async def part() -> None:
        work = asyncio.create_task(asyncio.Event().wait())
        work.cancel()
        await work

    with pytest.raises(ExceptionGroup) as told:
        async with asyncio.timeout(READY_SECONDS):
            await supervise({"a": part, "b": lambda: until_stopped(stop)}, stop, drain_seconds=1)
    assert told.group_contains(PartExited, match="a ended because what it waited for was cancelled")


async def test_who_cancels_the_supervisor_cancels_the_parts() -> None:
    stop, ended = asyncio.Event(), list[str]()

    async def part() -> None:
        try:
            await stop.wait()
        finally:
            ended.append("a")

    task = asyncio.create_task(supervise({"a": part}, stop, drain_seconds=1))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == ["a"]


async def test_parts_run_beside_one_another_and_are_named() -> None:
    stop, names = asyncio.Event(), set[str]()

    async def part() -> None:
        task = asyncio.current_task()
        assert task
        names.add(task.get_name())
        await stop.wait()

    running = asyncio.create_task(supervise({"a": part, "b": part}, stop, drain_seconds=1))
    await eventually(lambda: names == {"a", "b"})
    stop.set()
    assert await running == []


class Deaf:
    """A client whose end takes what cancels it for the end of its own task, as aiokafka's do, and goes on."""

    def __init__(self) -> None:
        self.begun, self.go_on = asyncio.Event(), asyncio.Event()
        self.times_cancelled = 0
        self.is_closed = False

    async def close(self) -> None:
        self.begun.set()
        while not self.go_on.is_set():
            try:
                await self.go_on.wait()
            except asyncio.CancelledError:
                self.times_cancelled += 1
        self.is_closed = True


async def test_who_is_cancelled_while_a_client_ends_ends_too() -> None:
    client = Deaf()
    task = asyncio.create_task(close_within(0.5, client.close()))
    await client.begun.wait()
    task.cancel()
    async with asyncio.timeout(READY_SECONDS):
        with pytest.raises(asyncio.CancelledError):
            await task
    assert client.times_cancelled == 0
    await eventually(lambda: client.times_cancelled == 1, what="the end of its time, which it has all the same")
    client.go_on.set()
    await eventually(lambda: client.is_closed)


async def test_a_client_that_does_not_end_is_left_at_the_deadline() -> None:
    client = Deaf()
    async with asyncio.timeout(READY_SECONDS):
        with pytest.raises(TimeoutError):
            await close_within(0.01, client.close())
    client.go_on.set()
    await eventually(lambda: client.is_closed)


async def test_what_fails_as_a_client_ends_is_told_unless_it_was_left() -> None:
    mishaps: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: mishaps.append(context))
    may_fail = asyncio.Event()

    async def fail() -> None:
        with suppress(asyncio.CancelledError):
            await may_fail.wait()
        raise OSError("broken pipe")

    with pytest.raises(TimeoutError):
        await close_within(0.01, fail())
    may_fail.set()
    with pytest.raises(OSError, match="broken pipe"):
        await close_within(30, fail())
    gc.collect()
    await asyncio.sleep(0)
    assert mishaps == []


async def test_a_client_that_gives_up_its_own_end_has_ended() -> None:
    async def give_up() -> None:
        work = asyncio.create_task(asyncio.Event().wait())
        work.cancel()
        await work

    await close_within(30, give_up())


async def test_a_pause_ends_with_the_stop() -> None:
    stop = asyncio.Event()
    assert await pause(stop, 0.001) is False
    stop.set()
    async with asyncio.timeout(READY_SECONDS):
        assert await pause(stop, 3600) is True


async def test_the_first_event_to_be_set_ends_the_wait_for_any() -> None:
    first, second = asyncio.Event(), asyncio.Event()
    await first_set(first, second, seconds=0.001)
    asyncio.get_running_loop().call_soon(second.set)
    async with asyncio.timeout(READY_SECONDS):
        await first_set(first, second, seconds=3600)
