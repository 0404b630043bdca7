"""What a viewer wants to see: pure matching of records against a filter."""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from logsvc.errors import BadRequest
from logsvc.filters import values
from logsvc.rows import level_of
from logsvc.search import Term, matches, parse
from tocsin.events import JobEvent, LogLine

KEYS = ("env", "service", "source", "queue", "level", "state", "job_id", "kind")


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
        found = (
            f"{record.job_id}\n{record.job_name}\n{record.message}\n{record.error_type}\n{record.error}\n{record.data}"
        )
        text = found.lower()
        level = level_of(record)
        return Subject(record.env, "", record.source, record.queue, level, record.state, record.job_id, "event", text)
    text = f"{record.job_id}\n{record.job_name}\n{record.message}".lower()
    return Subject(
        record.env, record.service, record.source, record.queue, record.level, "", record.job_id, "log", text
    )


@dataclass(frozen=True)
class Filter:
    """Sets of values by key (any of them; no key = anything), and words and phrases sought in the text."""

    wanted: tuple[tuple[str, frozenset[str]], ...] = ()
    terms: tuple[Term, ...] = ()

    @property
    def is_everything(self) -> bool:
        return not self.wanted and not self.terms

    def matches(self, subject: Subject) -> bool:
        return all(getattr(subject, key) in values for key, values in self.wanted) and matches(self.terms, subject.text)


def parse_filter(asked: Mapping[str, object]) -> Filter:
    """Read a filter from query parameters or a viewer's message: texts, or lists of them.

    Keys that are no filter are ignored. Raises BadRequest for what is not text, or too much.
    """
    wanted: list[tuple[str, frozenset[str]]] = []
    for key in KEYS:
        if found := values(key, _texts(key, asked.get(key))):
            wanted.append((key, frozenset(found)))
    return Filter(tuple(wanted), parse("".join(_texts("q", asked.get("q"))[-1:])))


def _texts(key: str, given: object) -> list[str]:
    if given is None:
        return []
    try:
        return msgspec.convert(given if isinstance(given, list) else [given], list[str])
    except msgspec.ValidationError:
        raise BadRequest(f"{key}: expected a text, or a list of them") from None
