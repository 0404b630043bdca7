"""What a viewer wants to see: pure matching of records against a filter."""

from collections.abc import Mapping
from dataclasses import dataclass

from logsvc.errors import BadRequest
from logsvc.rows import level_of
from tocsin.events import JobEvent, LogLine

KEYS = ("env", "service", "source", "queue", "level", "state", "job_id", "kind")
MOST_VALUES = 200
LONGEST = 1000


@dataclass(frozen=True)
class Subject:
    """A record's fields that a filter can ask about. text is lower case."""

    env: str
    service: str
    source: str
    queue: str
    level: str
    state: str
    job_id: str
    kind: str
    text: str


def subject_of(record: JobEvent | LogLine) -> Subject:
    if isinstance(record, JobEvent):
        text = f"{record.message}\n{record.error}\n{record.job_name}\n{record.job_id}".lower()
        level = level_of(record)
        return Subject(record.env, "", record.source, record.queue, level, record.state, record.job_id, "event", text)
    text = f"{record.message}\n{record.job_name}\n{record.job_id}".lower()
    return Subject(
        record.env, record.service, record.source, record.queue, record.level, "", record.job_id, "log", text
    )


@dataclass(frozen=True)
class Filter:
    """Sets of values by key (any of them; no key = anything), and a text sought without regard to case."""

    wanted: tuple[tuple[str, frozenset[str]], ...] = ()
    text: str = ""

    def matches(self, subject: Subject) -> bool:
        return all(getattr(subject, key) in values for key, values in self.wanted) and (
            not self.text or self.text in subject.text
        )


def parse_filter(asked: Mapping[str, object]) -> Filter:
    """Read a filter from query parameters or a viewer's message; several values are comma-separated.

    Keys that are no filter are ignored. Raises BadRequest for what is not text, or too much.
    """
    wanted: list[tuple[str, frozenset[str]]] = []
    for key in KEYS:
        if values := _values(key, asked.get(key)):
            wanted.append((key, values))
    text = asked.get("q") or ""
    if not isinstance(text, str) or len(text) > LONGEST:
        raise BadRequest(f"q: expected a text of at most {LONGEST} characters")
    return Filter(tuple(wanted), text.lower())


def _values(key: str, given: object) -> frozenset[str]:
    if given is None or given == "":
        return frozenset()
    if not isinstance(given, str):
        raise BadRequest(f"{key}: expected values separated by commas")
    values = frozenset(part.strip() for part in given.split(",") if part.strip())
    if len(values) > MOST_VALUES or any(len(value) > LONGEST for value in values):
        raise BadRequest(f"{key}: at most {MOST_VALUES} values of {LONGEST} characters each")
    return values
