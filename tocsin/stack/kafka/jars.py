"""Have the pinned jars in the cache: from a repository given by URL, from Maven, else from a Maven client on PyPI.

No repository address is written here: Maven and the client know the public one, and MAVEN_REPOSITORY_URL names
another. Every jar is checked against jars.lock before it is used, whoever brought it.
"""

import asyncio
import hashlib
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import httpx

from tocsin.stack.cache import Say, exclusive
from tocsin.stack.kafka.lock import LOCK, POM, Jar, read_lock
from tocsin.stack.pip import pip_install
from tocsin.stack.tool import ToolFailed, run_tool

_CLIENT_LOCK = Path(__file__).with_name("client.lock")
_CLIENT_SCRIPT = Path(__file__).with_name("client_fetch.py")
_TOOL_SECONDS = 600.0
_ANSWER_SECONDS = 60.0
_AT_ONCE = 8
_TELL_SECONDS = 2.0


class NoJars(Exception):
    """The jars could not be had; the message says what was tried."""


def jars_folder(cache: Path) -> Path:
    """Where the jars of jars.lock are once they are all there, and nothing else."""
    return cache / f"kafka-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]}"


def jars_mb(jars: Sequence[Jar]) -> float:
    """What they weigh together, in MB."""
    return sum(jar.size for jar in jars) / 1e6


async def ensure_jars(cache: Path, environ: Mapping[str, str], say: Say) -> Path:
    """The folder of the jars; downloads at most once. Call it in the main thread. Raises NoJars.

    Cancelled, it leaves no program running and nothing half done.
    """
    jars = read_lock()
    folder = jars_folder(cache)
    async with exclusive(cache / "kafka.lock"):
        if not folder.exists():
            with tempfile.TemporaryDirectory(dir=cache, prefix="kafka-partial-") as partial:
                await _fetch(jars, Path(partial), cache, environ, say)
                target = Path(partial) / "checked"
                _collect(jars, Path(partial), target)
                target.replace(folder)
    return folder


async def _fetch(jars: Sequence[Jar], into: Path, cache: Path, environ: Mapping[str, str], say: Say) -> None:
    tried: list[str] = []
    for name, bring in _ways(jars, into, cache, environ):
        say(f"fetching Apache Kafka ({len(jars)} jars, {jars_mb(jars):.0f} MB, once) {name}")
        telling = asyncio.create_task(_tell_progress(jars, into, say))
        try:
            await bring()
            return
        except NoJars as error:
            tried.append(f"{name}: {error}")
        finally:
            telling.cancel()
    raise NoJars("; ".join(tried))


def _ways(
    jars: Sequence[Jar], into: Path, cache: Path, environ: Mapping[str, str]
) -> list[tuple[str, Callable[[], Awaitable[None]]]]:
    if url := environ.get("MAVEN_REPOSITORY_URL"):
        return [("from MAVEN_REPOSITORY_URL", lambda: _from_url(jars, into, url))]
    ways: list[tuple[str, Callable[[], Awaitable[None]]]] = []
    if maven := shutil.which("mvn", path=environ.get("PATH")):
        ways.append(("with Maven", lambda: _with_maven(into, maven, environ)))
    ways.append(("with a Maven client from PyPI", lambda: _with_client(jars, into, cache)))
    return ways


async def _from_url(jars: Sequence[Jar], into: Path, base: str) -> None:
    limit = asyncio.Semaphore(_AT_ONCE)

    async def bring(client: httpx.AsyncClient, jar: Jar) -> None:
        async with limit:
            answer = await client.get(f"{base.rstrip('/')}/{jar.path}")
        (into / jar.file_name).write_bytes(answer.raise_for_status().content)

    try:
        async with (
            httpx.AsyncClient(timeout=_ANSWER_SECONDS, follow_redirects=True) as client,
            asyncio.TaskGroup() as group,
        ):
            for jar in jars:
                group.create_task(bring(client, jar))
    except ExceptionGroup as failures:
        error = failures.exceptions[0]
        if not isinstance(error, (httpx.HTTPError, httpx.InvalidURL, OSError)):
            raise
        raise NoJars(str(error) or type(error).__name__) from error


async def _with_maven(into: Path, maven: str, environ: Mapping[str, str]) -> None:
    goal = ["dependency:copy-dependencies", f"-DoutputDirectory={into}", "-DincludeScope=runtime"]
    # Its own repository stands where the progress is watched; the pom is read from a copy: Maven may write beside it.
    repository = f"-Dmaven.repo.local={into / 'repository'}"
    pom = Path(shutil.copy(POM, into / "pom.xml"))
    await _run([maven, "-q", "-B", "-f", str(pom), repository, *goal], environ)


async def _with_client(jars: Sequence[Jar], into: Path, cache: Path) -> None:
    client = cache / f"maven-client-{hashlib.sha256(_CLIENT_LOCK.read_bytes()).hexdigest()[:12]}"
    if not client.exists():
        await pip_install(client, _CLIENT_LOCK, raising=NoJars)
    coordinates = [jar.coordinates for jar in jars]
    await _run([sys.executable, "-I", str(_CLIENT_SCRIPT), str(client), str(into), *coordinates], None)


async def _run(argv: Sequence[str], environ: Mapping[str, str] | None) -> None:
    try:
        await run_tool(argv, seconds=_TOOL_SECONDS, env=environ)
    except ToolFailed as error:
        raise NoJars(str(error)) from None


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


async def _tell_progress(jars: Sequence[Jar], into: Path, say: Say) -> None:
    began = time.monotonic()
    while True:
        await asyncio.sleep(_TELL_SECONDS)
        mb = await asyncio.to_thread(_mb_here, jars, into)
        say(f"fetching Apache Kafka: {mb:.0f} of {jars_mb(jars):.0f} MB after {time.monotonic() - began:.0f} s")


def _mb_here(jars: Sequence[Jar], into: Path) -> float:
    """What is here of the jars, whole or in part, wherever below `into` it comes down first."""
    have: dict[str, int] = {}
    for file in into.rglob("*.jar*"):
        name = file.name.partition(".jar")[0] + ".jar"
        with suppress(FileNotFoundError):  # renamed meanwhile
            have[name] = max(have.get(name, 0), file.stat().st_size)
    return sum(have.get(jar.file_name, 0) for jar in jars) / 1e6
