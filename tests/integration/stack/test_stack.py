"""The embedded servers together: what one of them does when it cannot be where it was."""

import asyncio
import socket
from pathlib import Path

import pytest

from tests.eventually import eventually
from tocsin.stack.ports import Ports
from tocsin.stack.process import StartFailed
from tocsin.stack.stack import ServerMoved, Stack

OTHERS = {"KAFKA_BOOTSTRAP_SERVERS": "k:9092", "DATABASE_URL": "postgresql://x", "CLICKHOUSE_URL": "chdb:///x"}


async def test_a_server_whose_port_was_taken_while_it_was_down_makes_everything_start_again(tmp_path: Path) -> None:
    """Its clients know the old address only."""
    stack = Stack(tmp_path, Ports(tmp_path), OTHERS, lambda _: None)
    await stack.start()
    try:
        [valkey] = stack.running()
        keeping = asyncio.create_task(stack.keep_running())
        valkey.child.process.kill()
        with socket.socket() as stranger:
            stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            port = int(valkey.address.rpartition(":")[2])
            await eventually(lambda: _taken(stranger, port), what="the port")
            with pytest.raises(ExceptionGroup) as moved:
                await keeping
        assert moved.group_contains(ServerMoved)
    finally:
        await stack.stop()


async def test_what_a_server_cannot_write_is_told_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "valkey").write_text("a file where a folder should be")
    stack = Stack(tmp_path, Ports(tmp_path), OTHERS, lambda _: None)
    with pytest.raises(StartFailed, match=r"^valkey: "):
        await stack.start()
    await stack.stop()


def _taken(stranger: socket.socket, port: int) -> bool:
    try:
        stranger.bind(("127.0.0.1", port))
    except OSError:
        return False
    stranger.listen()
    return True
