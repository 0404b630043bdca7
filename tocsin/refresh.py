"""The messages of `/ws`, as Better Bull Board's page knows them: what has changed, by name only; the page asks anew.

Beyond its words there are some of our own; only who asks for one by name is told.
"""

from typing import Literal
from urllib.parse import quote

import msgspec

RefreshType = Literal[
    "job-refresh",
    "queue-refresh",
    "job-scheduler-refresh",
    "log-refresh",
    "incident-refresh",
    "rule-refresh",
    "audit-refresh",
    "system-refresh",
]
TYPES: tuple[RefreshType, ...] = ("job-refresh", "queue-refresh", "job-scheduler-refresh", "log-refresh")
OF_BOT: tuple[RefreshType, ...] = ("incident-refresh", "rule-refresh", "audit-refresh")
OF_SYSTEM: RefreshType = "system-refresh"
OWN_TYPES: tuple[RefreshType, ...] = (*OF_BOT, OF_SYSTEM)


class Touched(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """What has changed. What is left out stands for all: no jobId = any jobs of the queue.

    id: the same as a path, its segments percent-encoded: `source/queue/job id`, or a service's name.
    """

    id: str = ""
    queue_name: str = ""
    job_id: str = ""
    scheduler_key: str = ""


class Refresh(msgspec.Struct, frozen=True):
    """One message."""

    type: RefreshType
    data: Touched = Touched()


def path_of(*names: str) -> str:
    """Names as one path."""
    return "/".join(quote(name, safe="") for name in names)


def encode_refresh(refresh: Refresh) -> str:
    return msgspec.json.encode(refresh).decode()


class Changes(msgspec.Struct, frozen=True):
    """What the bot keeps: for each a word, which is another one once any of it has changed.

    incidents: with silences. rules: with what they find. audit: with pauses and tokens.
    """

    incidents: str
    rules: str
    audit: str
