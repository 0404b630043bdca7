"""The messages of `/ws`, as Better Bull Board's page knows them: what has changed, by name only; the page asks anew."""

from typing import Literal
from urllib.parse import quote

import msgspec

RefreshType = Literal["job-refresh", "queue-refresh", "job-scheduler-refresh", "log-refresh"]
TYPES: tuple[RefreshType, ...] = ("job-refresh", "queue-refresh", "job-scheduler-refresh", "log-refresh")


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
