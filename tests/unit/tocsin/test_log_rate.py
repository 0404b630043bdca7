"""What a library repeats is written now and then, with a count."""

import logging
from dataclasses import dataclass, field

import pytest

from tocsin.log_rate import MOST_KINDS, RateLimit


@dataclass
class Rig:
    """A handler's filter, and what it lets through: text and held_back."""

    now: float = 0.0
    written: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])

    def __post_init__(self) -> None:
        self.limit = RateLimit("aiokafka", 10, lambda: self.now)

    def say(self, text: str, *args: object, name: str = "aiokafka.conn", level: int = logging.ERROR) -> None:
        record = logging.LogRecord(name, level, __file__, 1, text, args, None)
        if self.limit.filter(record):
            self.written.append((record.getMessage(), getattr(record, "held_back", 0)))


def test_a_kind_of_line_is_written_once_in_ten_seconds_with_a_count() -> None:
    rig = Rig()
    for second in range(25):
        rig.now = second
        rig.say("Unable to connect to %s", f"node {second}")
    assert rig.written == [
        ("Unable to connect to node 0", 0),
        ("Unable to connect to node 10", 9),
        ("Unable to connect to node 20", 9),
    ]


def test_other_lines_are_not_held_back() -> None:
    rig = Rig()
    rig.say("a")
    rig.say("b")
    rig.say("a", name="aiokafka.consumer")
    rig.say("a", level=logging.WARNING)
    assert len(rig.written) == 4


@pytest.mark.parametrize("name", ["shop", "aiokafkaesque", "root"])
def test_other_loggers_speak_as_they_like(name: str) -> None:
    rig = Rig()
    for _ in range(3):
        rig.say("a", name=name)
    assert rig.written == [("a", 0)] * 3


def test_what_is_remembered_is_bounded() -> None:
    rig = Rig()
    for number in range(MOST_KINDS + 1):
        rig.say(f"text {number}")
    rig.say("text 0")
    assert len(rig.written) == MOST_KINDS + 2
