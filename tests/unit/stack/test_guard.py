"""The guard ends its child with its parent, passes signals on, and hands the exit status back."""

import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager

from tests.eventually import READY_SECONDS
from tocsin.stack.guard import guarded

_WAITING = "import signal, sys; print('up', flush=True); signal.sigwait({signal.SIGTERM, signal.SIGINT}); sys.exit(7)"
_BLOCKED = "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT}); " + _WAITING


@contextmanager
def running(code: str) -> Generator[subprocess.Popen[bytes]]:
    """A guarded Python that has printed its first line."""
    argv = guarded(signal.SIGINT, [sys.executable, "-c", code])
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as guard:
        assert guard.stdout
        assert guard.stdout.readline() == b"up\n"
        yield guard


def test_the_child_gets_its_death_signal_when_the_parents_pipe_ends() -> None:
    with running(_BLOCKED) as guard:
        assert guard.stdin
        guard.stdin.close()
        assert guard.wait(READY_SECONDS) == 7


def test_a_signal_is_passed_on() -> None:
    with running(_BLOCKED) as guard:
        guard.terminate()
        assert guard.wait(READY_SECONDS) == 7


def test_a_signal_that_ends_the_child_shows_in_the_status() -> None:
    with running("print('up', flush=True); import os; os.kill(os.getpid(), 9)") as guard:
        assert guard.wait(READY_SECONDS) == 128 + signal.SIGKILL
