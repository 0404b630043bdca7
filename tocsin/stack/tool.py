"""Run a program to its end: it dies with us, is killed when nobody waits for it any more, and has a deadline."""

import asyncio
import signal
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tocsin.stack.process import Command, kill_group, start


class ToolFailed(Exception):
    """The program could not be run, was too slow, or ended with an error; the message says which."""

    def __init__(self, why: str, output: str = "") -> None:
        super().__init__(why)
        self.output = output


async def run_tool(argv: Sequence[str], *, seconds: float, env: Mapping[str, str] | None = None) -> None:
    """Run argv; a terminal's Ctrl-C reaches only us. Call it in the main thread. Raises ToolFailed."""
    name = Path(argv[0]).name
    with tempfile.TemporaryDirectory(prefix="tocsin-tool-") as place:
        log_file = Path(place) / "output"
        try:
            child = start(Command(name, argv, log_file, env, death_signal=signal.SIGKILL))
        except OSError as error:
            raise ToolFailed(f"{name} cannot be run: {error.strerror}") from None
        try:
            async with asyncio.timeout(seconds):
                code = await child.exited()
        except TimeoutError:
            raise ToolFailed(f"{name} took more than {seconds:g} s") from None
        finally:
            if child.exit_code() is None:
                kill_group(child.pid)
                await child.exited()
        if code != 0:
            output = log_file.read_text(errors="replace").strip()
            raise ToolFailed(f"{name} failed: {_worst(output)}", output)


def _worst(output: str) -> str:
    """The line that tells most: the first that says ERROR, else the last."""
    lines = [line.strip() for line in output.splitlines() if line.strip()] or ["no output"]
    return next((line for line in lines if "ERROR" in line), lines[-1])[:300]
