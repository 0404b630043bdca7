"""Jars are used only when they are the pinned ones, whoever brings them."""

import asyncio
import functools
import hashlib
import http.server
import os
import threading
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.eventually import READY_SECONDS, eventually
from tocsin.stack.kafka import jars
from tocsin.stack.kafka.jars import NoJars, ensure_jars
from tocsin.stack.kafka.lock import Jar, read_lock
from tocsin.stack.process import is_alive

CONTENT = b"a jar"
JAR = Jar("org.example", "thing", "1.0", hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def repository(tmp_path: Path) -> Generator[tuple[Path, str]]:
    """A Maven repository on loopback: its folder and URL."""
    folder = tmp_path / "repository"
    folder.mkdir()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def publish(folder: Path, content: bytes) -> None:
    file = folder / JAR.path
    file.parent.mkdir(parents=True)
    file.write_bytes(content)


def pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jars, "read_lock", lambda: (JAR,))


def test_the_lock_holds_kafka_and_its_logging() -> None:
    names = {jar.artifact for jar in read_lock()}
    assert {"kafka_2.13", "kafka-clients", "log4j-slf4j-impl"} <= names


async def test_a_jar_comes_from_the_given_repository_once(
    repository: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, url = repository
    publish(folder, CONTENT)
    pinned(monkeypatch)
    said: list[str] = []
    found = await ensure_jars(tmp_path, {"MAVEN_REPOSITORY_URL": url}, said.append)
    assert [file.name for file in found.iterdir()] == [JAR.file_name]
    assert await ensure_jars(tmp_path, {"MAVEN_REPOSITORY_URL": "http://127.0.0.1:1"}, said.append) == found
    assert len(said) == 1


async def test_an_altered_jar_is_refused_and_leaves_nothing_behind(
    repository: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, url = repository
    publish(folder, b"b jar")
    pinned(monkeypatch)
    with pytest.raises(NoJars, match=r"org.example:thing:1.0 is not the file pinned"):
        await ensure_jars(tmp_path, {"MAVEN_REPOSITORY_URL": url}, lambda _: None)
    assert left_in(tmp_path) == set()


async def test_a_missing_jar_is_named(
    repository: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, url = repository
    pinned(monkeypatch)
    with pytest.raises(NoJars, match="404"):
        await ensure_jars(tmp_path, {"MAVEN_REPOSITORY_URL": url}, lambda _: None)


async def test_a_download_that_is_cancelled_ends_at_once_and_the_next_way_is_not_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Maven that would take for ever, and a child of it."""
    pinned(monkeypatch)
    pids, environ = tmp_path / "pids", fake_maven(tmp_path, 'sleep 600 & echo "$$ $!" >"$PIDS"; wait')
    said: list[str] = []
    fetching = asyncio.create_task(ensure_jars(tmp_path / "cache", {**environ, "PIDS": str(pids)}, said.append))
    await eventually(lambda: pids.exists() and len(pids.read_text().split()) == 2, what="the start of Maven")
    fetching.cancel()
    with suppress(asyncio.CancelledError):
        async with asyncio.timeout(READY_SECONDS):
            await fetching
    assert fetching.cancelled()
    for pid in pids.read_text().split():
        await eventually(lambda pid=pid: not is_alive(int(pid)), what="the end of Maven")
    assert len(said) == 1, "only Maven was tried"
    assert left_in(tmp_path / "cache") == set(), "nothing half done is left"


async def test_what_maven_has_brought_so_far_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Maven brings jars into its own repository first, and copies them at the end."""
    content = bytes(3_000_000)
    jar = Jar("org.example", "big", "1.0", hashlib.sha256(content).hexdigest(), len(content))
    monkeypatch.setattr(jars, "read_lock", lambda: (jar,))
    monkeypatch.setattr(jars, "_TELL_SECONDS", 0.01)
    told = tmp_path / "told"
    script = """
        for word; do case $word in
            -Dmaven.repo.local=*) local=${word#*=} ;;
            -DoutputDirectory=*) out=${word#*=} ;;
        esac; done
        mkdir -p "$local"; head -c 3000000 /dev/zero >"$local/big-1.0.jar.part"
        until [ -e "$TOLD" ]; do sleep 0.05; done
        mv "$local/big-1.0.jar.part" "$out/big-1.0.jar"
    """

    def say(line: str) -> None:
        if line.startswith("fetching Apache Kafka: 3 of 3 MB"):
            told.touch()

    found = await ensure_jars(tmp_path / "cache", {**fake_maven(tmp_path, script), "TOLD": str(told)}, say)
    assert [file.name for file in found.iterdir()] == ["big-1.0.jar"]


def left_in(cache: Path) -> set[str]:
    """Folders of jars, whole or not."""
    return {folder.name for folder in cache.glob("kafka-*")}


def fake_maven(folder: Path, script: str) -> dict[str, str]:
    """An environment whose `mvn` is this shell script."""
    programs = folder / "programs"
    programs.mkdir()
    (programs / "mvn").write_text(f"#!/bin/sh\n{script}\n")
    (programs / "mvn").chmod(0o755)
    return {"PATH": f"{programs}:{os.environ['PATH']}"}
