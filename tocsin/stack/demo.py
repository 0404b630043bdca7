"""What the demo takes from the shell it is started in: nothing that leads to servers or people that are not its own."""

from collections.abc import Mapping

_FAMILIES = ("REDIS_", "KAFKA_", "CLICKHOUSE_", "DATABASE_", "CONSUL_", "TELEGRAM_", "TOCSIN_SOURCES_FILE")
_OTHERS = ("BRIDGE_SITE", "BRIDGE_URL", "LOGSVC_URL", "BOT_URL", "HEARTBEAT_URL", "TRACE_URL_TEMPLATE")
_LOGIN = ("SESSION_SECRET", "TRUSTED_PROXIES", "LOGSVC_PROXY_USER_HEADER", "PUBLIC_URL", "BIND_HOST", "ADVERTISE_HOST")
"""The demo needs no login, so it is open to this machine only."""


def demo_environ(environ: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """The environment without them, and the names of what is left out, sorted.

    In a shell that is set up for `make up` the demo would otherwise join production's consumer groups and outbox, fill
    somebody's Redis with sample jobs, or ring real people.
    """
    kept = {name: value for name, value in environ.items() if not _leads_elsewhere(name)}
    return kept, sorted(name for name, value in environ.items() if value.strip() and name not in kept)


def _leads_elsewhere(name: str) -> bool:
    """Settings may be written in lower case, and secrets stand in a file."""
    plain = name.upper().removesuffix("_FILE")
    return name.upper().startswith(_FAMILIES) or plain in (*_OTHERS, *_LOGIN)
