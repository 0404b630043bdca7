"""`tocsin up`: the servers, then the services, until Ctrl-C; then everything ends in order and the data stays."""

import asyncio
import os
import shutil
import signal
import sys
import time
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tocsin.stack.data import AlreadyRunning, keep_settings, owned
from tocsin.stack.demo import demo_environ
from tocsin.stack.ports import Ports
from tocsin.stack.process import StartFailed
from tocsin.stack.services import STOP_ORDER, moved_ports, port_problems, service_settings, services
from tocsin.stack.stack import Stack, StartAgain, can_run_kafka, given_by
from tocsin.stack.supervise import BadSettings, Service, Supervisor

OK, FAILED, REFUSED = 0, 1, 2
_ASK_SECONDS = 0.25
_SLOW_SECONDS = 60.0


async def up(demo: bool, data: Path, port: int | None) -> int:
    """Run Tocsin on data until SIGINT or SIGTERM; a second one ends at once. Returns an exit status:

    0 stopped when asked, 1 could not start, 2 settings or doctor's findings must be mended first.
    port: where the live page should be; another is taken, and told, when that one is taken.
    """
    environ = dict(os.environ)
    if demo:
        environ, ignored = demo_environ(environ)
        if ignored:
            _say(f"not used by the demo, which has its own: {', '.join(ignored)} (`make up` uses them)")
    elif not given_by("valkey", environ):
        _say("REDIS_URL: required, not set. It says where your BullMQ runs: redis://user:password@host:6379/0")
        _say("To look around first without anything of yours: make demo")
        return REFUSED
    if problems := port_problems(environ):
        _say("\n".join(problems))
        return REFUSED
    stop = asyncio.Event()
    _stop_on_signals(stop)
    try:
        with owned(data) as place:
            return await _unless_stopped(_Run(environ, place, demo, port).until_cancelled(), stop)
    except AlreadyRunning as error:
        _say(str(error))
        return FAILED


@dataclass
class _Run:
    environ: Mapping[str, str]
    data: Path
    demo: bool
    port: int | None

    async def until_cancelled(self) -> int:
        """Start everything and keep it running; return only when it cannot."""
        ports = Ports(self.data)
        settings = service_settings(self.environ, ports, self.data, demo=self.demo, port=self.port)
        for line in moved_ports(self.environ, settings, demo=self.demo, port=self.port):
            _say(line)
        environ = {**self.environ, **settings}
        if await self._finds_problems(environ):
            return REFUSED
        is_stand_in = not await can_run_kafka(self.environ, _say)
        try:
            while True:
                try:
                    return await self._once(environ, ports, is_stand_in)
                except StartAgain as reason:
                    _say(str(reason))
        except StartFailed as failure:
            _say(f"cannot start: {failure}")
            return FAILED

    async def _finds_problems(self, environ: Mapping[str, str]) -> bool:
        """Look before anything is fetched or started. The demo has no servers but its own, so only at its settings."""
        from tocsin.doctor import run_doctor

        if not self.demo:
            return await run_doctor(environ, data=self.data) != 0
        from tocsin.doctor.finding import Verdict
        from tocsin.doctor.settings import check_settings

        findings = await check_settings(environ, seconds=_SLOW_SECONDS)
        problems = [finding for finding in findings if finding.verdict is Verdict.BAD]
        for problem in problems:
            _say(f"{problem.found}\n  -> {problem.mend}")
        return bool(problems)

    async def _once(self, environ: Mapping[str, str], ports: Ports, is_stand_in: bool) -> int:
        home = self.data
        if is_stand_in:
            home = self.data / "stand-in"
            shutil.rmtree(home, ignore_errors=True)
        stack = Stack(home, ports, self.environ, _say, is_stand_in)
        supervisor = Supervisor(self.data / "logs", _say)
        try:
            await stack.start()
            complete = {**environ, **stack.settings}
            keep_settings(self.data, {name: value for name, value in complete.items() if name not in self.environ})
            return await self._serve(stack, supervisor, services(complete, self.data, demo=self.demo), complete)
        finally:
            _say("stopping")
            for names in STOP_ORDER:
                await supervisor.stop(names)
            await stack.stop()
            _say(f"stopped; the data stays in {_shown(self.data)}")

    async def _serve(self, stack: Stack, supervisor: Supervisor, run: list[Service], environ: Mapping[str, str]) -> int:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(stack.keep_running())
                for service in run:
                    group.create_task(supervisor.follow(service))
                    group.create_task(supervisor.keep(service))
                await _all_ready(run, supervisor.logs)
                self._announce(environ)
        except ExceptionGroup as failures:
            if again := failures.subgroup(StartAgain):
                raise _first_in(again) from None
            refusals = [failure for failure in failures.exceptions if isinstance(failure, BadSettings)]
            if not refusals:
                raise
            _say("\n".join(str(refusal) for refusal in refusals))
        return REFUSED

    def _announce(self, environ: Mapping[str, str]) -> None:
        page = f"http://127.0.0.1:{environ['LOGSVC_PORT']}/logs"
        lines = ["", "Tocsin is ready.", f"  live page     {page}"]
        if self.demo:
            lines.append(f"  Telegram chat http://127.0.0.1:{environ['SANDBOX_PORT']}/  (a stand-in; try /queues)")
        lines += [f"  logs          {_shown(self.data / 'logs')}", "Ctrl-C stops it; the data stays.", ""]
        for line in lines:
            _say(line)


async def _all_ready(run: list[Service], logs: Path) -> None:
    """Wait until every service answers /health/ready; tell each one, and every minute what is still missing."""
    began = told = time.monotonic()
    waiting = {service.name: service.port for service in run if service.port}
    async with httpx.AsyncClient(trust_env=False, timeout=2) as client:
        while waiting:
            for name, port in list(waiting.items()):
                if await _is_ready(client, port):
                    _say(f"{name:<9} ready on 127.0.0.1:{port} ({time.monotonic() - began:.1f} s)")
                    del waiting[name]
            if waiting and time.monotonic() - told > _SLOW_SECONDS:
                told = time.monotonic()
                _say(f"still waiting for {', '.join(sorted(waiting))}; see {_shown(logs)}")
            await asyncio.sleep(_ASK_SECONDS)


async def _is_ready(client: httpx.AsyncClient, port: int) -> bool:
    with suppress(httpx.HTTPError):
        return (await client.get(f"http://127.0.0.1:{port}/health/ready")).is_success
    return False


def _first_in(group: ExceptionGroup[StartAgain]) -> StartAgain:
    first = group.exceptions[0]
    return first if isinstance(first, StartAgain) else _first_in(first)


async def _unless_stopped(work: Coroutine[Any, Any, int], stop: asyncio.Event) -> int:
    """Run work; when stop comes first, cancel it, let it clean up, and call that a success."""
    running = asyncio.create_task(work)
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait((running, stopping), return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not running.done():
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        return OK
    return running.result()


def _stop_on_signals(stop: asyncio.Event) -> None:
    def ask() -> None:
        if stop.is_set():
            os._exit(130)  # the children get their death signal from the kernel
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ask)


def _shown(path: Path) -> str:
    with suppress(ValueError):
        return str(path.relative_to(Path.cwd()))
    return str(path)


def _say(line: str) -> None:
    print(line, flush=True)


def main(demo: bool, data: Path, port: int | None) -> int:
    """Run `up` in an event loop of its own."""
    try:
        return asyncio.run(up(demo, data, port))
    except BrokenPipeError:  # whoever read our output is gone
        sys.stderr.close()
        return FAILED
