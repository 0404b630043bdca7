"""Addresses stay, and move only when taken."""

import socket
from pathlib import Path

from tocsin.stack.ports import Ports, free_port, is_free


def occupied() -> tuple[socket.socket, int]:
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    server.listen()
    return server, server.getsockname()[1]


def test_the_asked_port_is_given_when_free(tmp_path: Path) -> None:
    port = free_port()
    assert Ports(tmp_path).take("kafka", port) == port


def test_a_taken_port_moves_and_the_new_one_is_remembered(tmp_path: Path) -> None:
    stranger, port = occupied()
    with stranger:
        moved = Ports(tmp_path).take("kafka", port)
        assert moved != port
        assert is_free(moved)
    assert Ports(tmp_path).take("kafka", port) == moved, "addresses survive a restart, although the first is free again"


def test_asking_for_another_port_forgets_the_remembered_one(tmp_path: Path) -> None:
    first, second = free_port(), free_port()
    Ports(tmp_path).take("logsvc", first)
    assert Ports(tmp_path).take("logsvc", second) == second


def test_a_remembered_port_that_is_taken_moves(tmp_path: Path) -> None:
    stranger, port = occupied()
    stranger.close()
    assert Ports(tmp_path).take("kafka", port) == port
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
        assert Ports(tmp_path).take("kafka", port) != port


def test_two_names_never_share_a_port(tmp_path: Path) -> None:
    ports, port = Ports(tmp_path), free_port()
    assert ports.take("kafka", port) != ports.take("valkey", port)


def test_a_spoilt_file_is_started_afresh(tmp_path: Path) -> None:
    (tmp_path / "ports.json").write_text("{")
    assert Ports(tmp_path).take("kafka", 0) > 0
