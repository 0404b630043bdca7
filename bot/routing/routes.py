"""Which chats hear about which queue: TELEGRAM_ALERT_CHATS, parsed and matched (pure)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from bot.routing.patterns import Pattern, read_pattern
from tocsin import globs

_ENTRY = re.compile(r"(?P<chat>-?\d{1,18})(?:/(?P<topic>\d{1,10}))?(?P<silent>:silent)?")


@dataclass(frozen=True)
class Destination:
    """A chat, or one topic of it. silent: messages arrive there without a sound."""

    chat_id: int
    topic_id: int | None = None
    is_silent: bool = False


@dataclass(frozen=True)
class Route(Pattern):
    """One entry: what it matches, and where that goes. An entry without a pattern matches everything."""

    to: Destination
    env: str = "*"
    source: str = "*"
    queue: str = "*"

    @property
    def pattern(self) -> str:
        """What it matches, as in the settings."""
        if (self.source, self.queue) != ("*", "*"):
            return f"{self.source}/{self.queue}"
        return self.env if self.env != "*" else "which matches everything"


@dataclass(frozen=True)
class Subscription(Route):
    """What a place has asked to hear of. shows_data: payloads and log lines of it may be shown there."""

    id: int = 0
    shows_data: bool = False
    by: str = ""

    @property
    def words(self) -> str:
        """What it is about, as one types it after /here."""
        named = (("env", self.env), ("source", self.source), ("queue", self.queue))
        return " ".join(f"{word}={part}" for word, part in named if part != "*") or EVERYTHING


EVERYTHING = "everything"


def parse_routes(text: str) -> tuple[Route, ...]:
    """Read `[env or source/queue glob=]chat_id[/topic_id][:silent]`, comma-separated.

    Raises ValueError that names the entry by its number, never by its text.
    """
    entries = [entry.strip() for entry in text.split(",") if entry.strip()]
    return tuple(_parse(number, entry) for number, entry in enumerate(entries, start=1))


def _parse(number: int, entry: str) -> Route:
    pattern, equals, rest = entry.rpartition("=")
    found = _ENTRY.fullmatch(rest.strip())
    if found is None or (equals and not pattern.strip()):
        raise ValueError(
            f"entry {number} is not [env or source/queue glob=]chat_id[/topic_id][:silent], "
            "e.g. prod=-1001234567890/45:silent"
        )
    topic = found["topic"]
    to = Destination(int(found["chat"]), int(topic) if topic else None, found["silent"] is not None)
    return Route(to, *read_pattern(pattern))


def destinations(routes: Sequence[Route], env: str, source: str, queue: str) -> list[Destination]:
    """Every destination of a queue's alerts, each chat and topic once; the entry that stands first decides silence."""
    chosen: dict[tuple[int, int | None], Destination] = {}
    for route in routes:
        if route.matches(env, source, queue):
            chosen.setdefault((route.to.chat_id, route.to.topic_id), route.to)
    return list(chosen.values())


@dataclass(frozen=True)
class Runbook:
    """What to do about what a rule found, or about the queues that match, written down at url. rule: empty = any."""

    rule: str
    source: str
    queue: str
    url: str


_NEXT_RUNBOOK = re.compile(r",(?=[^,=]*=\s*https?://)")


def parse_runbooks(text: str) -> tuple[Runbook, ...]:
    """Read `rule:name=URL` and `[source/]queue glob=URL`, comma-separated.

    Raises ValueError that names the entry by its number.
    """
    entries = [entry.strip() for entry in _NEXT_RUNBOOK.split(text) if entry.strip()]
    return tuple(_runbook(number, entry) for number, entry in enumerate(entries, start=1))


def _runbook(number: int, entry: str) -> Runbook:
    pattern, _, url = (part.strip() for part in entry.partition("="))
    if not pattern or not re.fullmatch(r"https?://[^\s/]+\S*", url):
        raise ValueError(
            f"entry {number} is not [source/]queue glob=URL or rule:NAME=URL, "
            "e.g. emails-*=https://wiki.example.org/emails"
        )
    mark, colon, rule = pattern.partition(":")  # no queue has one in its name
    if colon and mark == "rule":
        return Runbook(rule, "*", "*", url)
    source, slash, queue = pattern.partition("/")
    return Runbook("", source, queue, url) if slash else Runbook("", "*", pattern, url)


def runbook_of(runbooks: Sequence[Runbook], rule: str, source: str, queue: str) -> str:
    """The address of the first that matches; empty if none does."""
    found = (
        one.url
        for one in runbooks
        if one.rule in ("", rule) and fnmatchcase(source, one.source) and globs.fits(queue, one.queue)
    )
    return next(found, "")
