"""A disk that is really full, not told to be: chDB on a small file system of its own."""

import shutil
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import pytest

from tests.eventually import eventually
from tests.integration.logsvc.house import House, house
from tocsin.times import rfc3339

T0, HOUR = 1_795_000_000_000, 3_600_000
"""When the events are."""
MANY_TRIES = 9
"""More failures than any breaker takes for an illness."""
ON_A_SMALL_DISK = """
import os, sys
mounted = f"mount -t tmpfs -o size=96m,nr_inodes=1500 small '{sys.argv[1]}' && exec '{sys.executable}' -m logsvc"
os.execvp("unshare", ["unshare", "--mount", "--map-root-user", "sh", "-c", mounted])
"""
"""Python that becomes logsvc with a file system mounted that only it sees (Linux, with user namespaces)."""


@pytest.fixture
async def home(tmp_path: Path, kafka_bootstrap: str, topic_prefix: str) -> AsyncGenerator[House]:
    """A logsvc that runs, its ClickHouse directory a small disk."""
    async with house(tmp_path / "logsvc", kafka_bootstrap, topic_prefix) as one:
        (one.data / "clickhouse").mkdir()
        await one.start("-c", ON_A_SMALL_DISK, str(one.data / "clickhouse"))
        await one.ready()
        yield one


def fill_bytes(ballast: Path) -> None:
    with (ballast / "zeros").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(64 * 1024))


def fill_inodes(ballast: Path) -> None:
    number = 0
    while True:
        (ballast / str(number)).touch()
        number += 1


def fill(home: House, how: Callable[[Path], None]) -> Path:
    """Fill the small disk with files in a directory; return it."""
    assert home.process is not None
    ballast = Path(f"/proc/{home.process.pid}/root{home.data}/clickhouse/ballast")
    ballast.mkdir()
    with pytest.raises(OSError, match="No space left"):
        how(ballast)
    return ballast


async def failures(home: House) -> float:
    metrics = (await home.get("/metrics")).text
    return float(metrics.partition('logsvc_insert_failures_total{table="journal"} ')[2].split()[0])


async def ids(home: House) -> list[str]:
    """The ids of all rows that the API tells."""
    found: list[str] = []
    cursor = ""
    while cursor is not None:
        page = await home.json("/api/v1/logs", limit=1000, cursor=cursor)
        found += [row["id"] for row in page["items"]]
        cursor = page["next_cursor"]
    return found


async def is_told_while_history_is_read_on(home: House, since: float) -> bool:
    """Whether the full disk has been told and met many times; history must have been read all along."""
    for path in ("logs", "jobs", "histogram"):
        answer = await home.get(f"/api/v1/{path}")
        assert answer.status_code == 200, (path, answer.text)
    ready = await home.get("/health/ready")
    reasons = [
        lane["reason"] for lane in (await home.json("/api/v1/system"))["pipeline"] if lane["state"] == "retrying"
    ]
    return (
        (ready.status_code, ready.json()["degraded"]) == (200, ["ingest"])
        and any("space" in reason for reason in reasons)
        and await failures(home) - since > MANY_TRIES
    )


@pytest.mark.chaos
@pytest.mark.timeout(600)
async def test_a_disk_full_to_its_last_byte_or_file_loses_nothing_and_history_is_read_on(home: House) -> None:
    stored = 2_000
    await home.produce([home.event(n) for n in range(stored)])
    await home.stored(stored)
    for how in (fill_bytes, fill_inodes):
        before = await failures(home)
        ballast = fill(home, how)
        await home.produce([home.event(n, data="x" * 500) for n in range(stored, stored + 5_000)])
        stored += 5_000
        await eventually(
            lambda before=before: is_told_while_history_is_read_on(home, before),
            seconds=120,
            what=f"{how.__name__} told, and history read all along",
        )
        shutil.rmtree(ballast)
        await home.stored(stored)
        found = await ids(home)
        assert len(found) == len(set(found)) == stored
    hour = {"from": rfc3339(T0 - HOUR), "to": rfc3339(T0 + HOUR), "bucket": 60}
    assert (await home.json("/api/v1/histogram", **hour))["total"] == stored
    assert await home.dead_letters() == []
