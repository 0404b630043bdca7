"""What the doctor knows without any server."""

import ast
import os
import re
import socket
from pathlib import Path
from typing import TypeGuard

import pytest

from tests.servers.secured_kafka import documented_rights
from tocsin.doctor import redis_rights
from tocsin.doctor.environment import RedisSource, Unreadable, place, redis_sources, value
from tocsin.doctor.finding import Verdict, bad, note, ok, warn
from tocsin.doctor.kafka_release import judge, release_of_level
from tocsin.doctor.kafka_rights import needs
from tocsin.doctor.machine import check_java, check_ports
from tocsin.doctor.report import render
from tocsin.stack.kafka.jars import jars_folder
from tocsin.topics import Topics

BULLMQ = Path(__file__).parents[3] / "bridge" / "sources" / "bullmq"
NOT_COMMANDS = {"BLOCK", "WRONGTYPE", "NOPERM", "NOAUTH", "DEBUG", "INFO", "WARN", "ERROR"}


def commands_of_the_bridge() -> set[str]:
    """What is asked of the door in the bridge's BullMQ files: tuples and calls of `one` that begin in upper case."""
    found: set[str] = set()
    for file in BULLMQ.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            parts = node.elts if isinstance(node, ast.Tuple) else node.args if _is_call_of_one(node) else []
            word = parts[0].value if parts and isinstance(parts[0], ast.Constant) else None
            if isinstance(word, str) and word.isalpha() and word.isupper():
                found.add(word)
    return found - NOT_COMMANDS - {"TIME"}  # tried only where INFO is refused


def _is_call_of_one(node: ast.AST) -> TypeGuard[ast.Call]:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "one"


def test_the_doctor_tries_every_command_the_bridge_sends() -> None:
    tried = {command[0] for command in redis_rights.NEEDED} | {command[0] for command, _ in redis_rights.NICE_TO_HAVE}
    sent = commands_of_the_bridge()
    assert len(sent) > 5
    assert sent - tried - {"MULTI", "EXEC"} == set()


@pytest.mark.parametrize(
    ("level", "release"),
    [(3, "older than 3.3"), (7, "3.3"), (22, "4.0"), (29, "4.2"), (30, "4.3"), (33, "4.4"), (34, "newer than 4.4")],
)
def test_a_kafka_is_known_by_the_newest_metadata_version_it_can(level: int, release: str) -> None:
    assert release_of_level(level) == release


def test_a_kafka_that_may_leave_transactions_hanging_is_warned_of_where_it_can_happen() -> None:
    old, new = ("4.2", 29), ("4.4", 33)
    assert judge([old], 1, ["tocsin.jobs"]).verdict is Verdict.OK
    assert judge([new, new, new], 3, []).verdict is Verdict.OK
    for finding in (judge([new], 1, []), judge([old, None, new], 3, ["tocsin.jobs"])):
        assert finding.verdict is Verdict.WARN
        assert "4.4" in finding.found
        assert "KAFKA-20734" in finding.found
    assert judge([None], 1, []).verdict is Verdict.NOTE


def test_the_report_puts_problems_last_and_sums_up() -> None:
    text = render(
        [bad("Kafka", "down", "start it"), ok("Disk", "fine"), warn("Redis", "evicts", "set it")], colour=False
    )
    assert text.splitlines() == [
        "ok    Disk   fine",
        "warn  Redis  evicts",
        "             -> set it",
        "BAD   Kafka  down",
        "             -> start it",
        "",
        "1 problem, 1 warning in 3 checks",
    ]


def test_colour_is_for_terminals_and_names_cannot_write_to_one() -> None:
    assert "\x1b[" not in render([note("Redis", "queue \x1b[2J")], colour=False)
    assert render([note("Redis", "q")], colour=True).startswith("\x1b[")


def test_sources_are_read_as_the_bridge_reads_them(tmp_path: Path) -> None:
    assert redis_sources({}) == []
    assert redis_sources({"REDIS_SOURCES": "a=redis://h:1, b=redis://h:2/3"}) == [
        RedisSource("a", "redis://h:1", "bull", "REDIS_SOURCES"),
        RedisSource("b", "redis://h:2/3", "bull", "REDIS_SOURCES"),
    ]
    file = tmp_path / "sources.toml"
    file.write_text('[[source]]\nname = "shop"\nurl = "redis://h"\nprefix = "{b}"\n')
    assert redis_sources({"TOCSIN_SOURCES_FILE": str(file)}) == [
        RedisSource("shop", "redis://h", "{b}", "TOCSIN_SOURCES_FILE")
    ]


def test_a_secret_may_stand_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("secret\n")
    assert value({"X_FILE": str(file)}, "X") == "secret"
    with pytest.raises(Unreadable, match="cannot be read") as caught:
        value({"X_FILE": str(tmp_path / "absent")}, "X")
    assert caught.value.name == "X_FILE"


def test_only_host_and_port_of_an_address_are_shown() -> None:
    assert place("redis://user:secret@host:6379/0") == "host:6379"
    assert "secret" not in place("redis://u:secret/x@host:6379")
    assert place("http://[::1]:8123/x") == "[::1]:8123"
    assert place("ann:secret@consul:8500") == "consul:8500"


async def test_a_java_that_was_named_is_the_one_that_is_looked_at(tmp_path: Path) -> None:
    environ = {"TOCSIN_JAVA": "/nowhere/java", "PATH": os.environ["PATH"], "TOCSIN_CACHE_DIR": str(tmp_path)}
    [finding] = await check_java(environ)
    assert finding.verdict is Verdict.BAD
    assert "TOCSIN_JAVA" in finding.mend


async def test_what_an_interrupted_download_left_are_no_jars(tmp_path: Path) -> None:
    (tmp_path / "kafka-partial-x").mkdir()
    environ = {"PATH": os.environ["PATH"], "TOCSIN_CACHE_DIR": str(tmp_path)}
    [finding] = await check_java(environ)
    assert re.search(r"jars are fetched at the first start \(4\d MB\)", finding.found)
    jars_folder(tmp_path).mkdir()
    [finding] = await check_java(environ)
    assert "jars are in the cache" in finding.found


async def test_the_mend_of_a_taken_port_names_no_port_nobody_could_find() -> None:
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        port = stranger.getsockname()[1]
        [finding] = await check_ports({"LOGSVC_PORT": str(port), "BRIDGE_PORT": "0", "BOT_PORT": "0"})
    assert finding.verdict is Verdict.WARN
    assert "LOGSVC_PORT=0" not in finding.mend


def test_the_login_that_may_write_is_looked_at_beside_the_reading_one(tmp_path: Path) -> None:
    (one,) = redis_sources({"REDIS_URL": "redis://h:1", "REDIS_ACTIONS_URL": "redis://actor:b@h:1"})
    assert one.acting == RedisSource("main actions", "redis://actor:b@h:1", "bull", "REDIS_ACTIONS_URL")
    (tmp_path / "sources.toml").write_text(
        '[[source]]\nname = "shop"\nmode = "sentinel"\nnodes = ["s:1"]\nmaster = "m"\nread_from = "replica"\n'
        'credentials = { username = "reader", password = "b", sentinel_password = "c" }\n'
        'actions = { username = "actor", password = "d" }\n'
    )
    (shop,) = redis_sources({"TOCSIN_SOURCES_FILE": str(tmp_path / "sources.toml")})
    assert shop.acting is not None
    assert (shop.acting.user, shop.acting.nodes, shop.acting.reads_replica) == ("actor", ("s:1",), False)
    assert shop.acting.options == {"username": "actor", "password": "d"}
    assert shop.acting.sentinel_options == {"password": "c"}


def test_the_rights_that_are_looked_for_in_kafka_are_those_of_the_docs() -> None:
    looked_for = {
        (service, need.option, need.name, need.operation, need.is_prefix)
        for service in ("bridge", "logsvc", "bot")
        for need in needs(service, Topics())
    }
    documented = {
        (
            right.principal.removeprefix("User:tocsin-"),
            f"--{right.restype.name.lower().replace('_', '-')}",
            right.name,
            right.operation.name.capitalize(),
            right.resource_pattern_type.name == "PREFIXED",
        )
        for right in documented_rights("tocsin.")
        if right.operation.name != "DESCRIBE"
    }
    assert looked_for == documented
