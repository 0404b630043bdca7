"""Jars are used only when they are the pinned ones, whoever brings them."""

import functools
import hashlib
import http.server
import threading
from collections.abc import Generator
from pathlib import Path

import pytest

from tocsin.stack.kafka import jars
from tocsin.stack.kafka.jars import NoJars, ensure_jars
from tocsin.stack.kafka.lock import Jar, read_lock

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


def test_a_jar_comes_from_the_given_repository_once(
    repository: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, url = repository
    publish(folder, CONTENT)
    pinned(monkeypatch)
    said: list[str] = []
    found = ensure_jars(tmp_path, {"MAVEN_REPOSITORY_URL": url}, said.append)
    assert [file.name for file in found.iterdir()] == [JAR.file_name]
    assert ensure_jars(tmp_path, {"MAVEN_REPOSITORY_URL": "http://127.0.0.1:1"}, said.append) == found
    assert len(said) == 1


def test_an_altered_jar_is_refused_and_leaves_nothing_behind(
    repository: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, url = repository
    publish(folder, b"b jar")
    pinned(monkeypatch)
    with pytest.raises(NoJars, match=r"org.example:thing:1.0 is not the file pinned"):
        ensure_jars(tmp_path, {"MAVEN_REPOSITORY_URL": url}, lambda _: None)
    assert not list(tmp_path.glob("kafka-*"))


def test_a_missing_jar_is_named(repository: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, url = repository
    pinned(monkeypatch)
    with pytest.raises(NoJars, match="404"):
        ensure_jars(tmp_path, {"MAVEN_REPOSITORY_URL": url}, lambda _: None)
