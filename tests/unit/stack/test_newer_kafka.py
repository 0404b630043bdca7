"""Data that a newer Kafka wrote: who starts Tocsin is told what to do. The node is a script."""

from pathlib import Path

import pytest

from tocsin.stack.kafka import start_kafka
from tocsin.stack.kafka.server import KafkaProgram
from tocsin.stack.ports import Ports
from tocsin.stack.process import StartFailed

NEWER = [  # Kafka 4.2.2 on data of 4.4.0, and of a metadata version it does not know
    "Caused by: org.apache.kafka.common.errors.UnsupportedVersionException: Can't read version 4 of BrokerEndpoint",
    "java.lang.IllegalArgumentException: No MetadataVersion with feature level 31",
]


async def start(folder: Path, says: str) -> str:
    """How the start on formatted data fails, of a node that says something and ends."""
    java, data = folder / "java", folder / "kafka"
    java.write_text(f"#!/bin/sh\necho \"{says}\"\necho '        at kafka.Kafka.main(Kafka.scala)'\nexit 1\n")
    java.chmod(0o755)
    (data / "log").mkdir(parents=True, exist_ok=True)
    (data / "log" / "meta.properties").touch()
    with pytest.raises(StartFailed) as failed:
        await start_kafka(KafkaProgram(java, folder), data, Ports(folder), 0)
    return str(failed.value)


@pytest.mark.parametrize("says", NEWER)
async def test_who_goes_back_to_an_older_kafka_is_told_what_to_do(says: str, tmp_path: Path) -> None:
    said = await start(tmp_path, says)
    assert "written by a newer Kafka" in said
    assert f"mv {tmp_path}/kafka {tmp_path}/kafka.newer" in said
    again = await start(tmp_path, "java.net.BindException: Address already in use")
    assert "exited with 1" in again, "another time it is another cause"
