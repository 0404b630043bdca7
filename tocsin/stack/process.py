"""Child processes that die with their parent, are stopped politely first, and whose ghosts are recognised."""

import asyncio
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tocsin.stack.guard import guarded

_PR_SET_PDEATHSIG = 1
_POLL_SECONDS = 0.02
_KERNEL_TELLS = sys.platform == "linux"
_LOG_BYTES = 10 * 1024 * 1024


class StartFailed(Exception):
    """A server did not become ready; the message names it, what was seen last, and its log file."""


@dataclass(frozen=True)
class Command:
    """What to run and how to end it.

    owner: (uid, gid) to run as; None keeps ours. death_signal is what the kernel sends the child when we die, so it
    should be the one that makes this server close its files in order.
    """

    name: str
    argv: Sequence[str]
    log_file: Path
    env: Mapping[str, str] | None = None
    cwd: Path | None = None
    owner: tuple[int, int] | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 10.0


@dataclass
class Child:
    """One running process. Start it from the main thread: Linux sends the death signal when the *thread* ends."""

    command: Command
    process: subprocess.Popen[bytes]
    started: float = field(default_factory=time.monotonic)

    @property
    def pid(self) -> int:
        return self.process.pid

    def exit_code(self) -> int | None:
        """None while it runs; negative is the signal that ended it."""
        return self.process.poll()

    async def exited(self) -> int:
        """Wait until the process is gone and reaped."""
        pause = 0.01
        while True:
            code = self.process.poll()
            if code is not None:
                if self.process.stdin:
                    self.process.stdin.close()
                return code
            await asyncio.sleep(pause)
            pause = min(0.2, pause * 2)

    async def stop(self) -> int:
        """Ask, wait up to command.stop_seconds, then kill the whole process group; return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(self.command.stop_signal)
            try:
                async with asyncio.timeout(self.command.stop_seconds):
                    await self.exited()
            except TimeoutError:
                kill_group(self.pid)
        return await self.exited()


def start(command: Command) -> Child:
    """Start the command in a session of its own (a terminal's Ctrl-C then reaches only us), output to its log file."""
    command.log_file.parent.mkdir(parents=True, exist_ok=True)
    rotate(command.log_file)
    uid, gid = command.owner or (None, None)
    argv = list(command.argv)
    with command.log_file.open("ab", buffering=0) as log:
        process = subprocess.Popen(
            argv if _KERNEL_TELLS else guarded(command.death_signal, argv),
            stdin=subprocess.DEVNULL if _KERNEL_TELLS else subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=None if command.env is None else dict(command.env),
            cwd=command.cwd,
            start_new_session=True,
            user=uid,
            group=gid,
            extra_groups=[] if command.owner else None,
            preexec_fn=_die_with_parent(command.death_signal),
        )
    return Child(command, process)


async def wait_ready(child: Child, probe: Callable[[], Awaitable[bool]], *, seconds: float) -> None:
    """Call probe until it says yes. Raises StartFailed when the child exits first or the deadline passes.

    A probe that raises OSError counts as "not yet".
    """
    name = child.command.name
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        code = child.exit_code()
        if code is not None:
            raise StartFailed(f"{name} exited with {code} while starting: {last_line(child.command.log_file)}")
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(2):
                if await probe():
                    return
        await asyncio.sleep(_POLL_SECONDS)
    raise StartFailed(f"{name} was not ready after {seconds:g} s; see {child.command.log_file}")


async def accepts_connections(port: int, host: str = "127.0.0.1") -> bool:
    """Whether something listens there."""
    _, writer = await asyncio.open_connection(host, port)
    writer.close()
    return True


def last_line(log_file: Path) -> str:
    """The last line that is not blank of a log file, with the file's name, for an error message."""
    with suppress(OSError):
        lines = [line.strip() for line in log_file.read_text(errors="replace")[-8192:].splitlines() if line.strip()]
        if lines:
            return f"{lines[-1]} ({log_file})"
    return f"no output ({log_file})"


def kill_group(pid: int) -> None:
    """SIGKILL the process group led by pid; a group that is gone is fine."""
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def is_alive(pid: int) -> bool:
    """Whether pid runs. A zombie counts as dead: where PID 1 reaps nothing it would otherwise live for ever."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return _state(pid) not in ("Z", "X")


async def end_leftover(pid_file: Path, *, seconds: float = 10.0) -> None:
    """Wait for the child of an earlier run that still closes its files; kill it when it takes too long.

    The file holds "<pid> <start ticks>": a pid that was given to another process since is left alone.
    """
    left = _remembered(pid_file)
    deadline = time.monotonic() + seconds
    while left and is_alive(left[0]) and _start_ticks(left[0]) == left[1]:
        if time.monotonic() > deadline:
            kill_group(left[0])
        await asyncio.sleep(_POLL_SECONDS)


def remember(child: Child, pid_file: Path) -> None:
    """Write what end_leftover reads."""
    pid_file.write_text(f"{child.pid} {_start_ticks(child.pid)}\n")


def _remembered(pid_file: Path) -> tuple[int, int] | None:
    """(pid, start ticks) of an earlier run's child; None without a file or without /proc, where nobody can be sure."""
    try:
        pid, ticks = (int(word) for word in pid_file.read_text().split())
    except (OSError, ValueError):
        return None
    return (pid, ticks) if ticks else None


def _state(pid: int) -> str:
    return _stat(pid)[0]


def _start_ticks(pid: int) -> int:
    """When pid started, in clock ticks since boot (field 22 of /proc/PID/stat); 0 where there is no /proc."""
    fields = _stat(pid)
    return int(fields[19]) if len(fields) > 19 else 0


def _stat(pid: int) -> list[str]:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return ["?"]
    return stat[stat.rindex(")") + 2 :].split()


def _die_with_parent(number: signal.Signals) -> Callable[[], None] | None:
    if not _KERNEL_TELLS:
        return None
    prctl = ctypes.CDLL(None).prctl
    parent = os.getpid()

    def ask_kernel() -> None:
        prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
        if os.getppid() != parent:  # it died before the call above
            os._exit(1)

    return ask_kernel


def rotate(log_file: Path) -> None:
    """Set a log that has grown aside, as .1; `start` does it too."""
    with suppress(FileNotFoundError):
        if log_file.stat().st_size > _LOG_BYTES:
            log_file.replace(log_file.with_suffix(log_file.suffix + ".1"))
