"""Each embedded server keeps its data and address over a restart, and never outlives its parent."""

import os
import shutil
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.clients import aiokafka, aiokafka_admin, asyncpg, redis
from tests.eventually import READY_SECONDS
from tests.integration.stack.foreground import Foreground

Act = Callable[[str], Awaitable[Any]]


async def kafka_write(address: str) -> None:
    admin = aiokafka_admin.AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    await admin.create_topics([aiokafka_admin.NewTopic("kept", 1, 1)])
    await admin.close()
    async with aiokafka.AIOKafkaProducer(bootstrap_servers=address) as producer:
        await producer.send_and_wait("kept", b"value")


async def kafka_read(address: str) -> bytes | None:
    async with aiokafka.AIOKafkaConsumer("kept", bootstrap_servers=address, auto_offset_reset="earliest") as consumer:
        return (await consumer.getone()).value


async def valkey_write(address: str) -> None:
    async with redis.Redis.from_url(f"redis://{address}") as client:
        await client.set("kept", "value")
        await client.execute_command("WAITAOF", 1, 0, 5000)  # on disk before anybody is killed


async def valkey_read(address: str) -> bytes:
    async with redis.Redis.from_url(f"redis://{address}") as client:
        return await client.get("kept")


async def postgres_write(address: str) -> None:
    connection = await asyncpg.connect(address.replace("+asyncpg", ""))
    await connection.execute("create table kept as select 'value' as it")
    await connection.close()


async def postgres_read(address: str) -> bytes:
    connection = await asyncpg.connect(address.replace("+asyncpg", ""))
    value: str = await connection.fetchval("select it from kept")
    await connection.close()
    return value.encode()


SERVERS = [
    pytest.param("kafka", kafka_write, kafka_read, id="kafka"),
    pytest.param("postgres", postgres_write, postgres_read, id="postgres"),
    pytest.param("valkey", valkey_write, valkey_read, id="valkey"),
]


@pytest.mark.parametrize(("name", "write", "read"), SERVERS)
async def test_data_and_address_survive_a_restart(name: str, write: Act, read: Act, data: Path) -> None:
    with Foreground(name, data / name) as first:
        await write(first.address)
        assert first.stop() == 0
    with Foreground(name, data / name) as second:
        assert second.address == first.address
        assert await read(second.address) == b"value"
        assert second.stop() == 0


@pytest.mark.parametrize(("name", "write", "read"), SERVERS)
async def test_it_dies_with_its_parent_and_starts_again_at_once(name: str, write: Act, read: Act, data: Path) -> None:
    with Foreground(name, data / name) as first:
        await write(first.address)
        await first.die()
    with Foreground(name, data / name) as second:
        assert await read(second.address) == b"value"
        assert second.stop() == 0


@pytest.mark.parametrize(("name", "write", "read"), SERVERS)
async def test_a_killed_server_recovers(name: str, write: Act, read: Act, data: Path) -> None:
    with Foreground(name, data / name) as first:
        await write(first.address)
        os.kill(first.server_pid(), signal.SIGKILL)
        assert first.process.wait(READY_SECONDS) == signal.SIGKILL, (
            "the foreground process ends with its server, and says so"
        )
    with Foreground(name, data / name) as second:
        assert await read(second.address) == b"value"
        assert second.stop() == 0


async def test_postgres_refuses_a_wrong_password(postgres_server: str) -> None:
    address = postgres_server.rpartition("@")[2]
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(f"postgresql://tocsin:wrong@{address}")


async def test_a_data_directory_closed_to_others_works_too(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with Foreground("postgres", closed / "postgres") as first:
        await postgres_write(first.address)
        assert first.stop() == 0
    with Foreground("postgres", closed / "postgres") as second:
        assert await postgres_read(second.address) == b"value"
        assert second.stop() == 0
    assert closed.stat().st_mode & 0o777 == 0o700, "nobody's directory is opened for it"
    if (closed / "postgres" / "cluster").is_symlink():  # root's clusters then stand elsewhere
        shutil.rmtree((closed / "postgres" / "cluster").resolve())
