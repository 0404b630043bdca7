"""Run services as child processes: restarted when they end, their logs in files, what matters on the console."""

import asyncio
import json
import os
import shutil
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tocsin.stack.cache import Say
from tocsin.stack.process import Child, Command, rotate, start

BAD_SETTINGS = 2
"""The exit status of a service whose settings are wrong: starting it again cannot help."""

_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 30.0
_STEADY_SECONDS = 60.0
_TAIL_SECONDS = 0.25
_REPEAT_SECONDS = 60.0
_LOG_BYTES = 20 * 1024 * 1024
_SHOWN_LEVELS = ("warning", "error", "critical")


class BadSettings(Exception):
    """A service refused its settings; the message is its own output."""


@dataclass(frozen=True)
class Service:
    """One process to keep running. port: where /health/ready is asked; None for one that has no such page."""

    name: str
    argv: Sequence[str]
    environ: Mapping[str, str]
    port: int | None = None
    stop_seconds: float = 15.0


@dataclass
class Supervisor:
    """Keeps services running until stopped. logs: the directory of their output, `<name>.log`, appended."""

    logs: Path
    say: Say
    _children: dict[str, Child] = field(default_factory=dict[str, Child])
    _shown: dict[str, float] = field(default_factory=dict[str, float])

    async def keep(self, service: Service) -> None:
        """Start a service, again and again with growing pauses, until cancelled. Raises BadSettings."""
        pause = _FIRST_PAUSE_SECONDS
        while True:
            began = time.monotonic()
            file = self.logs / f"{service.name}.log"
            rotate(file)  # before its size is taken, or what it says below would be looked for in vain
            said_before = file.stat().st_size if file.exists() else 0
            code = await self._start(service).exited()
            output = _read_from(file, said_before)
            if code == BAD_SETTINGS:
                raise BadSettings(output.strip())
            if time.monotonic() - began > _STEADY_SECONDS:
                pause = _FIRST_PAUSE_SECONDS
            self.say(f"{service.name:<9} ended with {code}{last_words(output)}; starting it again in {pause:g} s")
            await asyncio.sleep(pause)
            pause = min(_LONGEST_PAUSE_SECONDS, pause * 2)

    async def follow(self, service: Service) -> None:
        """Show on the console, one short line each, the warnings and errors of a service's log; until cancelled."""
        file = self.logs / f"{service.name}.log"
        position = file.stat().st_size if file.exists() else 0
        while True:
            await asyncio.sleep(_TAIL_SECONDS)
            position = await asyncio.to_thread(self._show_new, service.name, file, position)

    async def stop(self, names: Sequence[str]) -> None:
        """Stop these services at the same time, each with its own grace."""
        children = [self._children[name] for name in names if name in self._children]
        await asyncio.gather(*(child.stop() for child in children))

    def _say_once(self, line: str) -> None:
        """Show a line unless the same one was shown within the last minute."""
        now = time.monotonic()
        self._shown = {text: at for text, at in self._shown.items() if now - at < _REPEAT_SECONDS}
        if line not in self._shown:
            self._shown[line] = now
            self.say(line)

    def _start(self, service: Service) -> Child:
        file = self.logs / f"{service.name}.log"
        command = Command(
            service.name,
            service.argv,
            file,
            service.environ,
            # When we die the servers die too: there is nothing left to drain to.
            death_signal=signal.SIGKILL,
            stop_seconds=service.stop_seconds,
        )
        self._children[service.name] = start(command)
        return self._children[service.name]

    def _show_new(self, name: str, file: Path, position: int) -> int:
        with suppress(FileNotFoundError):
            size = file.stat().st_size
            if size < position:
                position = 0
            with file.open("rb") as log:
                log.seek(position)
                for line in log:
                    if not line.endswith(b"\n"):
                        break
                    position += len(line)
                    if shown := short(line.decode(errors="replace")):
                        self._say_once(f"{name:<9} {shown}")
            if size > _LOG_BYTES:
                return _cut(file)
        return position


def short(line: str) -> str | None:
    """The console form of one log line: `warning  event key=value …` for warnings and errors, None for the rest.

    A JSON line has level and event; any other stays in the file.
    """
    try:
        record: dict[str, Any] = json.loads(line)
        level, event = str(record.pop("level")), str(record.pop("event"))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    if level not in _SHOWN_LEVELS:
        return None
    hidden = ("timestamp", "service", "exception", "stack", "logger")
    details = " ".join(f"{key}={value}" for key, value in record.items() if key not in hidden)
    if cause := str(record.get("exception") or "").strip():
        event, details = f"{event}:", f"{cause.splitlines()[-1]} {details}"
    return f"{level:<8} {event} {details}"[:240].rstrip()


def last_words(output: str) -> str:
    """` (text)` of the last line of what a process wrote, when that is no log record: an uncaught error, usually."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return f" ({lines[-1][:200]})" if lines and not lines[-1].startswith("{") else ""


def _read_from(file: Path, position: int) -> str:
    """What was written since; all there is if the file was cut meanwhile."""
    with file.open("rb") as log:
        log.seek(position if position <= file.stat().st_size else 0)
        return log.read().decode(errors="replace")


def _cut(file: Path) -> int:
    """Keep the old text as .1 and empty the file in place; its writer appends, so it goes on at the new end."""
    shutil.copyfile(file, file.with_suffix(f"{file.suffix}.1"))
    os.truncate(file, 0)
    return 0
