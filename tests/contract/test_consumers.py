"""No service reads what a bridge has not committed: every consumer says `read_committed`.

The doctor alone looks at what is not committed: at when it was written, to find what hangs.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SERVICES = ("bridge", "logsvc", "bot", "tocsin")
CONSUMER = "AIOKafkaConsumer"
LOOKS_FOR_WHAT_HANGS = "tocsin/doctor/kafka_hanging.py"


def consumers() -> list[tuple[str, ast.Call]]:
    """`file:line` and the call that makes a consumer, in every file of the services."""
    found: list[tuple[str, ast.Call]] = []
    for service in SERVICES:
        for path in sorted((ROOT / service).rglob("*.py")):
            if "node_modules" in path.parts or path == ROOT / LOOKS_FOR_WHAT_HANGS:
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and _name(node.func) == CONSUMER:
                    found.append((f"{path.relative_to(ROOT)}:{node.lineno}", node))
    return found


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


FOUND = consumers()


@pytest.mark.parametrize(("place", "call"), FOUND, ids=[place for place, _ in FOUND])
def test_a_consumer_reads_only_what_is_committed(place: str, call: ast.Call) -> None:
    given = {word.arg: word.value for word in call.keywords}
    level = given.get("isolation_level")
    assert isinstance(level, ast.Constant), place
    assert level.value == "read_committed", place


def test_every_service_that_reads_kafka_was_looked_at() -> None:
    assert {place.partition("/")[0] for place, _ in FOUND} >= {"bridge", "logsvc", "bot"}
