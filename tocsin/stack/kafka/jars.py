"""Have the pinned jars in the cache: from a repository given by URL, from Maven, else from a Maven client on PyPI.

No repository address is written here: Maven and the client know the public one, and MAVEN_REPOSITORY_URL names
another. Every jar is checked against jars.lock before it is used, whoever brought it.
"""

import concurrent.futures
import hashlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tocsin.stack.cache import Say, exclusive
from tocsin.stack.kafka.lock import LOCK, POM, Jar, read_lock
from tocsin.stack.pip import pip_install

_CLIENT_LOCK = Path(__file__).with_name("client.lock")
_CLIENT_SCRIPT = Path(__file__).with_name("client_fetch.py")
_MINUTES = 10


class NoJars(Exception):
    """The jars could not be had; the message says what was tried."""


def ensure_jars(cache: Path, environ: Mapping[str, str], say: Say) -> Path:
    """The folder that holds every jar of jars.lock and nothing else. Blocks; downloads at most once. Raises NoJars."""
    jars = read_lock()
    folder = cache / f"kafka-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]}"
    with exclusive(cache / "kafka.lock"):
        if not folder.exists():
            with tempfile.TemporaryDirectory(dir=cache, prefix="kafka-partial-") as partial:
                _fetch(jars, Path(partial), cache, environ, say)
                target = Path(partial) / "checked"
                _collect(jars, Path(partial), target)
                target.replace(folder)
    return folder


def _fetch(jars: Sequence[Jar], into: Path, cache: Path, environ: Mapping[str, str], say: Say) -> None:
    total = sum(jar.size for jar in jars) / 1e6
    tried: list[str] = []
    for name, bring in _ways(jars, into, cache, environ):
        say(f"fetching Apache Kafka ({len(jars)} jars, {total:.0f} MB, once) {name}")
        stop = threading.Event()
        watcher = threading.Thread(target=_tell_progress, args=(into, total, say, stop), daemon=True)
        watcher.start()
        try:
            bring()
            return
        except NoJars as error:
            tried.append(f"{name}: {error}")
        finally:
            stop.set()
            watcher.join()
    raise NoJars("; ".join(tried))


def _ways(
    jars: Sequence[Jar], into: Path, cache: Path, environ: Mapping[str, str]
) -> list[tuple[str, Callable[[], None]]]:
    if url := environ.get("MAVEN_REPOSITORY_URL"):
        return [("from MAVEN_REPOSITORY_URL", lambda: _from_url(jars, into, url))]
    ways: list[tuple[str, Callable[[], None]]] = []
    if maven := shutil.which("mvn", path=environ.get("PATH")):
        ways.append(("with Maven", lambda: _with_maven(into, maven, environ)))
    ways.append(("with a Maven client from PyPI", lambda: _with_client(jars, into, cache)))
    return ways


def _from_url(jars: Sequence[Jar], into: Path, base: str) -> None:
    def bring(jar: Jar) -> None:
        with urllib.request.urlopen(f"{base.rstrip('/')}/{jar.path}", timeout=60) as answer:
            (into / jar.file_name).write_bytes(answer.read())

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        try:
            list(pool.map(bring, jars))
        except (OSError, ValueError) as error:
            pool.shutdown(cancel_futures=True)
            raise NoJars(str(error)) from error


def _with_maven(into: Path, maven: str, environ: Mapping[str, str]) -> None:
    goal = ["dependency:copy-dependencies", f"-DoutputDirectory={into}", "-DincludeScope=runtime"]
    # The pom is read from a copy: Maven may write beside it.
    pom = Path(shutil.copy(POM, into / "pom.xml"))
    _run([maven, "-q", "-B", "-f", str(pom), *goal], environ)


def _with_client(jars: Sequence[Jar], into: Path, cache: Path) -> None:
    client = cache / f"maven-client-{hashlib.sha256(_CLIENT_LOCK.read_bytes()).hexdigest()[:12]}"
    if not client.exists():
        pip_install(client, _CLIENT_LOCK, raising=NoJars)
    coordinates = [jar.coordinates for jar in jars]
    _run([sys.executable, "-I", str(_CLIENT_SCRIPT), str(client), str(into), *coordinates], None)


def _run(argv: Sequence[str], environ: Mapping[str, str] | None) -> None:
    try:
        done = subprocess.run(
            argv,
            capture_output=True,
            text=True,
            timeout=60 * _MINUTES,
            check=False,
            env=None if environ is None else dict(environ),
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoJars(str(error)) from error
    if done.returncode != 0:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()] or ["no output"]
        worst = next((line for line in lines if "ERROR" in line), lines[-1])
        raise NoJars(worst.strip()[:300])


def _collect(jars: Sequence[Jar], brought: Path, target: Path) -> None:
    """Move the jars of the lock into target. Raises NoJars on a missing or altered one; others are left behind."""
    target.mkdir()
    for jar in jars:
        file = brought / jar.file_name
        if not file.is_file():
            raise NoJars(f"{jar.coordinates} was not brought")
        if not jar.matches(file.read_bytes()):
            raise NoJars(f"{jar.coordinates} is not the file pinned in jars.lock; it was thrown away")
        file.replace(target / jar.file_name)


def _tell_progress(into: Path, total_mb: float, say: Say, stop: threading.Event) -> None:
    started = time.monotonic()
    while not stop.wait(2):
        have = min(total_mb, sum(file.stat().st_size for file in into.rglob("*.jar*") if file.is_file()) / 1e6)
        say(f"fetching Apache Kafka: {have:.0f} of {total_mb:.0f} MB after {time.monotonic() - started:.0f} s")
