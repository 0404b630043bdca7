"""Two sites share Kafka's topics, each with a Redis of its own: neither hides, moves or doubles what is the other's."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from bridge.kafka import Writer, read_cursors
from bridge.record import Record
from bridge.settings import BridgeSettings
from tests.eventually import eventually
from tests.integration.bridge.by_hand import add_events, make_queue
from tests.integration.bridge.running import Bridge, bridge_on
from tests.kafka_reader import Records
from tests.servers.redis_servers import RedisServers
from tocsin.settings import read
from tocsin.topic_admin import until_topics_fit


def site(name: str, bootstrap: str, prefix: str) -> BridgeSettings:
    environ = {
        "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
        "KAFKA_TOPIC_PREFIX": prefix,
        "KAFKA_PARTITIONS": "1",
        "REDIS_URL": "redis://unused",
        "BRIDGE_SITE": name,
    }
    return read(BridgeSettings, environ)


class HeldWriter(Writer):
    """A writer whose commit waits until the test lets it. is_sent: all but the commit is done."""

    released: asyncio.Event
    is_sent: asyncio.Event

    async def _commit(self) -> None:
        self.is_sent.set()
        await self.released.wait()
        await super()._commit()


async def test_another_sites_open_transaction_hides_no_cursor(kafka_bootstrap: str, topic_prefix: str) -> None:
    us, eu = site("us", kafka_bootstrap, topic_prefix), site("eu", kafka_bootstrap, topic_prefix)
    await until_topics_fit(us, asyncio.Event())
    cursors = us.topics.cursors
    async with HeldWriter(us, 0) as other, Writer(eu, 0) as mine:
        other.released, other.is_sent = asyncio.Event(), asyncio.Event()
        await mine.write(mine.batches([Record.of(cursors, b"eu:main:orders", b"1")]))
        open_transaction = asyncio.create_task(
            other.write(other.batches([Record.of(cursors, b"us:main:orders", b"1")]))
        )
        await other.is_sent.wait()  # every batch is acknowledged: its record is in the log before ours
        await mine.write(mine.batches([Record.of(cursors, b"eu:main:orders", b"2")]))
        restoring = asyncio.create_task(read_cursors(eu, 0))
        await asyncio.wait({restoring}, timeout=1.5)
        other.released.set()
        await open_transaction
        assert (await restoring)[b"eu:main:orders"] == b"2"


SITES = ("eu", "us")


def told(records: Records, source: str) -> list[str]:
    """The jobs that were told of, in order."""
    return [event.job_id for event in records.of_queue("mail") if event.source == source]


async def test_queues_of_one_name_at_two_sites_are_told_once_each(
    kafka_bootstrap: str, topic_prefix: str, servers: RedisServers, tmp_path: Path
) -> None:
    """One site's bridge is killed and comes back while both write; so does then the other's."""
    async with AsyncExitStack() as stack:
        bridges: dict[str, Bridge] = {}
        apps: dict[str, Any] = {}
        counts: dict[str, int] = dict.fromkeys(SITES, 0)

        async def add(name: str, count: int) -> None:
            await add_events(apps[name], "mail", count, first=counts[name])
            counts[name] += count

        async def until_all_told() -> None:
            async def are_told() -> bool:
                records = await bridges["eu"].records()
                return all(len(told(records, name)) >= counts[name] for name in SITES)

            await eventually(are_told, what="every event of both")

        for name in SITES:
            server = await servers.start(name)
            (tmp_path / name).mkdir()
            apps[name] = server.client
            await make_queue(server.client, "mail")
            bridges[name] = await stack.enter_async_context(
                bridge_on(kafka_bootstrap, topic_prefix, "", tmp_path / name / "bridge.log", BRIDGE_SITE=name)
            )
            bridges[name].watch(f'[[source]]\nname = "{name}"\nurl = "{server.url}"\n')
            await bridges[name].start()
        for name in SITES:
            await bridges[name].ready()
            await add(name, 100)
        await until_all_told()
        for name, other in (SITES, reversed(SITES)):
            await bridges[name].kill()
            await add(name, 50)
            await add(other, 70)
            await bridges[name].start()
            await bridges[name].ready()
            await add(name, 30)
            await until_all_told()
        for name in SITES:
            await bridges[name].stop()
        records = await bridges["eu"].records()
    for name in SITES:
        assert told(records, name) == [f"job-{number}" for number in range(counts[name])]
        assert records.cursors[f"{name}:{name}:mail"] is not None
    assert {key.split(":")[0] == key.split(":")[1] for key in records.cursors} == {True}, "cursors of one's own alone"
    assert len({event.id for event in records.jobs}) == len(records.jobs)
    assert not any("source_of_two_sites" in bridges[name].log for name in SITES)
