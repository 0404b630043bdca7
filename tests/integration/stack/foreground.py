"""A server run as `python -m tocsin.stack.NAME`, as people and other tests run it."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from tests.eventually import READY_SECONDS, eventually
from tocsin.stack.process import is_alive


class Foreground:
    """One run, killed at the end of the block if it still runs. address: what it printed after `ready`."""

    def __init__(self, name: str, data: Path, port: int = 0) -> None:
        self._argv = [sys.executable, "-m", f"tocsin.stack.{name}", "--data", str(data), "--port", str(port)]
        self._data = data
        self._name = name
        self.address = ""

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(self._argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        output: IO[bytes] | None = self.process.stdout
        assert output
        with output:
            word, _, self.address = output.readline().decode().strip().partition(" ")
        if word != "ready":
            self._kill()
            raise AssertionError(f"{self._name} said {word} {self.address}")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._kill()

    def server_pid(self) -> int:
        """The process of the server itself, a child of the one started here."""
        return int((self._data / f"{self._name}.pid").read_text().split()[0])

    def stop(self) -> int:
        """Ask it to stop and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(READY_SECONDS)

    async def die(self) -> None:
        """kill -9 of the parent, then wait for its child to be gone."""
        child = self.server_pid()
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait(READY_SECONDS)
        await eventually(lambda: not is_alive(child), what=f"the end of {self._name}")

    def _kill(self) -> None:
        """Its server dies with it."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(READY_SECONDS)
