"""A class archive (JVM CDS) of Kafka, made once: it halves the CPU a start takes, which a laptop and a test run feel.

It is only a cache: the JVM checks it against its own version and the jars, and goes on without it if they differ.
"""

import asyncio
import hashlib
import tempfile
from dataclasses import replace
from pathlib import Path

from tocsin.stack.cache import Say
from tocsin.stack.kafka.coordinators import wait_for_coordinators
from tocsin.stack.kafka.server import KafkaProgram, configure, format_storage, launch, wait_listening
from tocsin.stack.ports import free_port
from tocsin.stack.process import StartFailed


async def with_archive(program: KafkaProgram, cache: Path, say: Say) -> KafkaProgram:
    """The program with its archive; the first call makes it by running a node that is thrown away (some seconds).

    Without one when that fails: whoever starts Kafka next will see why. Call it in the main thread.
    """
    archive = cache / f"{program.jars.name}-{_identity(program.java)}.jsa"
    if not archive.exists():
        say("preparing Apache Kafka for quick starts (once, some seconds)")
        with tempfile.TemporaryDirectory(dir=cache, prefix="kafka-archive-") as place:
            if not await _record(program, Path(place), archive):
                return program
    return replace(program, options=(f"-XX:SharedArchiveFile={archive}",))


async def _record(program: KafkaProgram, place: Path, archive: Path) -> bool:
    """Run a node from start to end; the JVM writes the archive as it exits."""
    made = place / "made.jsa"
    port = free_port()
    properties = configure(place / "data", port, free_port({port}))
    child = None
    try:
        await asyncio.to_thread(format_storage, program, properties)
        recording = replace(program, options=(f"-XX:ArchiveClassesAtExit={made}",))
        child = launch(recording, properties, place / "kafka.log")
        await wait_listening(child, port)
        await wait_for_coordinators(f"127.0.0.1:{port}")
    except (StartFailed, TimeoutError):
        return False
    finally:
        if child:
            await child.stop()
    return _keep(made, archive)


def _keep(made: Path, archive: Path) -> bool:
    if made.exists():
        made.replace(archive)
    return archive.exists()


def _identity(java: Path) -> str:
    """Changes when another Java is found under the same name."""
    binary = java.resolve()
    status = binary.stat()
    return hashlib.sha256(f"{binary} {status.st_size} {status.st_mtime_ns}".encode()).hexdigest()[:12]
