"""Services are started again when they end, stopped politely, and heard when something is wrong."""

import asyncio
import json
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.eventually import READY_SECONDS, eventually
from tocsin.stack.process import is_alive
from tocsin.stack.supervise import BadSettings, Service, Supervisor


def python(name: str, code: str) -> Service:
    return Service(name, [sys.executable, "-u", "-c", code], dict(os.environ))


def pids(file: Path) -> list[int]:
    return [int(word) for word in file.read_text().split()] if file.exists() else []


async def cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_a_service_that_ends_is_started_again(tmp_path: Path) -> None:
    said: list[str] = []
    service = python("x", f"import os; open({str(tmp_path / 'pids')!r}, 'a').write(f'{{os.getpid()}} ')")
    supervisor = Supervisor(tmp_path, said.append)
    keeping = asyncio.create_task(supervisor.keep(service))
    await eventually(lambda: len(pids(tmp_path / "pids")) >= 2, what="a second start")
    await cancelled(keeping)
    await supervisor.stop(["x"])
    assert said[0] == "x         ended with 0; starting it again in 1 s"


async def test_a_killed_service_is_started_again(tmp_path: Path) -> None:
    code = f"import os, time; open({str(tmp_path / 'pids')!r}, 'a').write(f'{{os.getpid()}} '); time.sleep(3600)"
    supervisor = Supervisor(tmp_path, lambda _: None)
    keeping = asyncio.create_task(supervisor.keep(python("x", code)))
    await eventually(lambda: len(pids(tmp_path / "pids")) == 1, what="the first start")
    os.kill(pids(tmp_path / "pids")[0], signal.SIGKILL)
    await eventually(lambda: len(pids(tmp_path / "pids")) == 2, what="the second start")
    await cancelled(keeping)
    await supervisor.stop(["x"])
    assert not is_alive(pids(tmp_path / "pids")[1])


async def test_wrong_settings_are_told_and_not_tried_again(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="KAFKA_BOOTSTRAP_SERVERS: required"):
        await Supervisor(tmp_path, print).keep(
            python("x", "import sys; print('KAFKA_BOOTSTRAP_SERVERS: required'); sys.exit(2)")
        )


async def test_a_refusal_is_told_when_the_log_had_grown_and_was_set_aside(tmp_path: Path) -> None:
    (tmp_path / "x.log").write_bytes(b"long ago\n" * 2_000_000)
    with pytest.raises(BadSettings, match="REDIS_URL: required"):
        await Supervisor(tmp_path, print).keep(python("x", "import sys; print('REDIS_URL: required'); sys.exit(2)"))
    assert (tmp_path / "x.log.1").stat().st_size == 18_000_000


async def test_a_service_that_ignores_the_signal_is_killed_after_its_grace(tmp_path: Path) -> None:
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf'); time.sleep(3600)"
    service = Service("x", [sys.executable, "-u", "-c", code], dict(os.environ), stop_seconds=0.3)
    supervisor = Supervisor(tmp_path, lambda _: None)
    keeping = asyncio.create_task(supervisor.keep(service))
    await eventually(lambda: "deaf" in read(tmp_path / "x.log"), what="its first line")
    await cancelled(keeping)
    async with asyncio.timeout(READY_SECONDS):
        await supervisor.stop(["x"])


async def test_warnings_reach_the_console_and_everything_the_file(tmp_path: Path) -> None:
    said: list[str] = []
    lines = [{"level": "info", "event": "started"}, {"level": "error", "event": "lost", "rows": 2}]
    lines.append(lines[1])  # said twice, shown once
    printing = "; ".join(f"print({json.dumps(line)!r})" for line in lines)
    supervisor = Supervisor(tmp_path, said.append)
    service = python("x", f"{printing}; import time; time.sleep(3600)")
    tasks = [asyncio.create_task(supervisor.follow(service)), asyncio.create_task(supervisor.keep(service))]
    await eventually(lambda: len(read(tmp_path / "x.log").splitlines()) == 3 and bool(said), what="all three lines")
    for task in tasks:
        await cancelled(task)
    await supervisor.stop(["x"])
    assert said == ["x         error    lost rows=2"]
    assert len(read(tmp_path / "x.log").splitlines()) == 3


def read(file: Path) -> str:
    return file.read_text() if file.exists() else ""
