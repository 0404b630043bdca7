"""What the bot tells other services of incidents, silences and saved views, and how people are named who change them.

Times are RFC 3339 UTC. See docs/bot.md, "For other services".
"""

from typing import Annotated

import msgspec

from tocsin.roles import Role

MOST_NAME = 100
MOST_QUERY = 4000
Short = Annotated[str, msgspec.Meta(max_length=500)]


class Asker(msgspec.Struct, kw_only=True):
    """Who asks: in every body that changes something. role: as the asking service knows it; never more is allowed."""

    user_id: Annotated[str, msgspec.Meta(min_length=1, max_length=500)] | int
    name: Short = ""
    role: Role | None = None
    address: Short = ""


class NoteItem(msgspec.Struct, kw_only=True):
    """What somebody wrote about an incident."""

    by: str
    at: str
    text: str


class IncidentItem(msgspec.Struct, kw_only=True):
    """One kind of failure of one queue.

    kind: `failure`, or `rule` where a rule found it. title: the error's class, or what the rule found. count: failures
    of this episode, total: of all; hidden: of this one, under a silence. has_rung: this episode has a message of its
    own. note: the newest of notes. job_id: the newest failure's.
    """

    id: int
    env: str
    source: str
    queue: str
    fingerprint: str
    kind: str
    rule: str
    title: str
    error: str
    state: str
    has_rung: bool
    count: int
    total: int
    hidden: int
    episode: int
    first_at: str
    last_at: str
    acked_by: str | None
    acked_at: str | None
    note: str | None
    silenced_until: str | None
    resolved_at: str | None
    regressed: bool
    previous_at: str | None
    previous_by: str | None
    job_id: str
    job_name: str
    frame: str
    attempt: int
    max_attempts: int
    workers: dict[str, int]
    runbook: str
    notes: list[NoteItem]


class IncidentPage(msgspec.Struct, kw_only=True):
    """as_of: what reached Kafka before then is counted; null = not known now."""

    items: list[IncidentItem]
    next_cursor: str | None
    as_of: str | None


class Handle(Asker, kw_only=True):
    """Body of ack, unack and resolve. episode: the one that was seen; another is not touched."""

    episode: int | None = None


class WriteNote(Asker, kw_only=True):
    """Body of note."""

    text: Annotated[str, msgspec.Meta(min_length=1, max_length=4000)]


class SilenceItem(msgspec.Struct, kw_only=True):
    """What is kept quiet; an empty part of the scope means any. hidden: failures so far."""

    id: int
    is_maintenance: bool
    env: str
    source: str
    queue: str
    fingerprint: str
    reason: str
    by: str
    from_at: str
    until: str
    hidden: int
    kinds: dict[str, int]


class NewSilence(Asker, kw_only=True):
    """Body of POST silences. until, or minutes from now. A maintenance is of an env."""

    env: Short = ""
    source: Short = ""
    queue: Short = ""
    fingerprint: Short = ""
    minutes: int | None = None
    until: str | None = None
    reason: Short = ""
    is_maintenance: bool = False


class ViewItem(msgspec.Struct, kw_only=True):
    """A page as somebody likes to see it. owner: their id. shared: everybody sees it; is_home: where they begin."""

    id: int
    title: str
    owner: str
    owner_name: str
    query: str
    is_home: bool
    shared: bool
    changed_at: str


class NewView(Asker, kw_only=True):
    """Body of POST and PUT views. query: the page's address from its path on, such as `/logs?queue=orders`."""

    title: Annotated[str, msgspec.Meta(min_length=1, max_length=MOST_NAME)]
    query: Annotated[str, msgspec.Meta(max_length=MOST_QUERY)]
    is_home: bool = False
    shared: bool = False


class RuleNumbers(msgspec.Struct, kw_only=True):
    """Thresholds. fire, resolve: in the rule's unit; for how long: in seconds. least: the least volume."""

    fire: float
    resolve: float
    fire_seconds: float
    resolve_seconds: float
    least: float


class RuleItem(RuleNumbers, kw_only=True):
    """A rule as it is now. about: in words. changeable: the numbers that can be changed. shipped: as it ships.

    unit: seconds, count, share, times, or yes. is_fixed: it cannot be switched on or off here. finds: places now.
    version: grows with each change; say it with the next.
    """

    name: str
    title: str
    about: str
    why: str
    unit: str
    is_on: bool
    is_fixed: bool
    changeable: list[str]
    shipped: RuleNumbers
    finds: int
    version: int
    changed_by: str | None
    changed_at: str | None


class RuleChange(msgspec.Struct, kw_only=True):
    """What is to be other than it ships; null = as it ships."""

    is_on: bool | None = None
    fire: float | None = None
    resolve: float | None = None
    fire_seconds: float | None = None
    resolve_seconds: float | None = None
    least: float | None = None


class ChangeRule(Asker, kw_only=True):
    """Body of PUT rules. version: the one that was seen."""

    version: int
    change: RuleChange


class PreviewRules(Asker, kw_only=True):
    """Body of POST rules/preview: rules by name, as they might be."""

    rules: dict[str, RuleChange] = {}
    hours: float = 24
    env: Short = ""
    source: Short = ""
    queue: Short = ""


class PreviewItem(msgspec.Struct, kw_only=True):
    """An incident that would have rung."""

    at: str
    env: str
    source: str
    queue: str
    fingerprint: str
    rule: str
    title: str
    error: str
    regressed: bool


class PreviewPage(msgspec.Struct, kw_only=True):
    """items: the newest first, 500 at most; count: all. from, to: of what was read; is_whole: nothing was left out."""

    items: list[PreviewItem]
    count: int
    records: int
    start: str | None = msgspec.field(name="from")
    end: str | None = msgspec.field(name="to")
    is_whole: bool
