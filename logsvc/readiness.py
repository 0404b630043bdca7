"""What people miss of a logsvc that is ready all the same."""

import time
from collections.abc import Callable

from logsvc.ingest.ingest import Ingest
from logsvc.live.hub import Hub
from tocsin.breakers import Breakers
from tocsin.health import RECENT_SECONDS


def degraded(breakers: Breakers, is_migrated: Callable[[], bool], ingest: Ingest, hub: Hub) -> list[str]:
    """What people miss while it is so: history, what is new, and that it is stored.

    A Kafka that went away leaves history and the last counts: were this not ready then, neither Consul nor Kubernetes
    would lead anybody to the page that says so.
    """
    is_deaf = hub.as_of_ms > 0 and time.time() * 1000 - hub.as_of_ms > RECENT_SECONDS * 1000
    is_unasked = not is_migrated() or breakers.is_open("clickhouse")
    found = {"clickhouse": is_unasked, "ingest": ingest.retrying > 0, "kafka": is_deaf}
    return [name for name, is_ill in found.items() if is_ill]
