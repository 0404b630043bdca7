"""Lines of a job's log: read from where we were, their level guessed from the text.

BullMQ announces no log line and keeps no time for one. Lines are read while the job is active and once more at the end
of each attempt.
"""

import re
from typing import Any, cast

from bridge import redact
from bridge.jsontext import NotJson
from bridge.jsontext import parse as parse_json
from bridge.sources.bullmq.door import Command, Refused, Reply
from bridge.sources.bullmq.keys import Keys
from bridge.sources.bullmq.memory import JobMemory
from bridge.sources.bullmq.translate import Place
from tocsin.events import VERSION, Level, LogLine

LINE_BYTES = 16 * 1024
LEVEL_CHARACTERS = 200
"""A line says its level at its beginning; a line of 5 MB of digits is no date."""


_WORDS = {
    "trace": Level.DEBUG,
    "debug": Level.DEBUG,
    "verbose": Level.DEBUG,
    "info": Level.INFO,
    "notice": Level.INFO,
    "warn": Level.WARN,
    "warning": Level.WARN,
    "error": Level.ERROR,
    "err": Level.ERROR,
    "fatal": Level.ERROR,
    "critical": Level.ERROR,
    "panic": Level.ERROR,
}
_WORD = re.compile(
    r"^\W{0,3}(?:\d[\d:.,TZ+/ -]*\W{0,3})?"
    r"(trace|debug|verbose|info|notice|warn(?:ing)?|err(?:or)?|fatal|critical|panic)\b",
    re.IGNORECASE,
)


def read_command(keys: Keys, job_id: str, seen: int, count: int) -> Command:
    """Read the lines after the first `seen`, at most `count` of them."""
    return ("LRANGE", keys.logs(job_id), seen, seen + count - 1)


def parse(reply: Reply) -> list[str]:
    """LRANGE's reply as texts."""
    if not reply or isinstance(reply, Refused):
        return []
    return [line.decode(errors="replace") for line in cast(list[bytes], reply)]


def count_command(keys: Keys, job_id: str) -> Command:
    """How many lines there are."""
    return ("LLEN", keys.logs(job_id))


def records(
    place: Place,
    epoch: int,
    job_id: str,
    job: JobMemory,
    lines: list[str],
    ts: int,
    *,
    first: int,
    attempt: int,
    backfill: bool,
) -> list[LogLine]:
    """Records of lines, the first of which is number `first` of the job's log."""
    name = redact.identifier(job_id)
    life = f"{name}:{job.added_at}"
    return [
        LogLine(
            v=VERSION,
            id=place.identity(epoch, f"l:{life}:{number}"),
            ts=ts,
            level=level_of(line),
            message=redact.json_text(line, LINE_BYTES) if line[:1] == "{" else redact.text(line, LINE_BYTES),
            env=place.env,
            source=place.source,
            queue=place.queue,
            epoch=epoch,
            job_id=name,
            job_name=job.name,
            added_at=job.added_at,
            attempt=attempt,
            line=number,
            trace_id=job.trace_id,
            backfill=backfill,
        )
        for number, line in enumerate(lines, first)
    ]


def level_of(line: str) -> Level:
    """A line's level: a JSON object's `level` (a word or pino's number), a leading word, or else info."""
    if line[:1] == "{":
        return _json_level(line)
    found = _WORD.match(line[:LEVEL_CHARACTERS])
    return _WORDS[found.group(1).lower()] if found else Level.INFO


def _json_level(line: str) -> Level:
    try:
        value: Any = parse_json(line)
    except NotJson:
        return Level.INFO
    if not isinstance(value, dict):
        return Level.INFO
    fields = cast(dict[str, Any], value)
    level = fields.get("level", fields.get("severity"))
    if isinstance(level, str):
        return _WORDS.get(level.lower(), Level.INFO)
    if isinstance(level, int):
        return _of_number(level)
    return Level.INFO


def _of_number(level: int) -> Level:
    """pino: 10 trace … 60 fatal."""
    if level >= 50:
        return Level.ERROR
    if level >= 40:
        return Level.WARN
    return Level.INFO if level >= 30 else Level.DEBUG
