"""The servers of a test run: one Kafka and one Postgres for the whole run, however many pytest-xdist workers it has.

Each is started by the first test that needs it and ends with the run, also when the run is killed. An address in
TOCSIN_TEST_KAFKA_BOOTSTRAP_SERVERS or TOCSIN_TEST_DATABASE_URL is used instead (never the settings' own names: tests
write, and must not do so by accident to what somebody's shell points at).
"""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

_RUN = "TOCSIN_TEST_RUN"
_START_SECONDS = 300.0  # a first run downloads Kafka
_GIVEN = {"kafka": "TOCSIN_TEST_KAFKA_BOOTSTRAP_SERVERS", "postgres": "TOCSIN_TEST_DATABASE_URL"}


def open_run() -> None:
    """Begin a run in the controlling process; xdist's workers inherit it through the environment."""
    os.environ[_RUN] = tempfile.mkdtemp(prefix=f"tocsin-tests-{os.getpid()}-")
    Path(os.environ[_RUN]).chmod(0o755)  # Postgres may run as another user


def close_run() -> None:
    """Stop what the run started and remove its data."""
    run = Path(os.environ.pop(_RUN))
    for pid_file in run.glob("*.pid"):
        with suppress(ProcessLookupError):
            os.kill(int(pid_file.read_text()), signal.SIGTERM)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and any(_lives(pid_file) for pid_file in run.glob("*.pid")):
        time.sleep(0.05)
    shutil.rmtree(run, ignore_errors=True)


def shared(name: str) -> str:
    """The address of the run's `kafka` (host:port) or `postgres` (URL), starting it if nobody has yet.

    Raises RuntimeError when it cannot be started: a missing server fails the tests, it does not skip them.
    """
    if given := os.environ.get(_GIVEN[name]):
        return given
    run = Path(os.environ[_RUN])
    address = run / f"{name}.address"
    with (run / f"{name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not address.exists():
            address.write_text(_start(name, run))
    return address.read_text()


def _start(name: str, run: Path) -> str:
    """Start the server in a process of its own that watches the controlling one; return its address."""
    owner = run.name.split("-")[2]
    argv = [sys.executable, "-m", f"tocsin.stack.{name}", "--data", str(run / name), "--with-pid", owner]
    output = run / f"{name}.output"
    with output.open("wb") as out:
        holder = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
    holder.returncode = 0  # it outlives this worker on purpose: no warning about it
    (run / f"{name}.pid").write_text(str(holder.pid))
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        for line in output.read_text().splitlines(keepends=True):
            word, _, rest = line.partition(" ")
            if word == "ready" and line.endswith("\n"):
                return rest.strip()
        if not _lives(run / f"{name}.pid"):
            break
        time.sleep(0.02)
    raise RuntimeError(f"{name} did not start: {output.read_text().strip()[-1000:]}")


def _lives(pid_file: Path) -> bool:
    pid = int(pid_file.read_text())
    with suppress(ChildProcessError):  # reap it when it is ours
        os.waitpid(pid, os.WNOHANG)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with suppress(OSError):
        stat = Path(f"/proc/{pid}/stat").read_text()
        return stat[stat.rindex(")") + 2] not in "ZX"
    return True
