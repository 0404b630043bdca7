"""What can be chosen when the sandbox starts."""

import ipaddress
from pathlib import Path

from msgspec import Struct

from tocsin.sandbox.flood import FloodLimits

DEFAULT_PORT = 9081
DEMO_CHAT_ID = 1001
"""The demo's private chat and its one person, the administrator."""


class NotLoopback(ValueError):
    """Someone asked the sandbox to listen where others could reach it."""


class SandboxOptions(Struct, frozen=True, kw_only=True):
    """token None = any token of valid shape. data None = forget everything at the end.

    query_seconds: how long answerCallbackQuery may take until Telegram calls the query too old.
    has_privacy: in groups where the bot is no administrator it hears commands, mentions and replies only.
    """

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    token: str | None = None
    bot_name: str = "Tocsin"
    bot_username: str = "tocsin_sandbox_bot"
    person_name: str = "Demo"
    data: Path | None = None
    limits: FloodLimits = FloodLimits()
    query_seconds: float = 60.0
    has_privacy: bool = True

    def __post_init__(self) -> None:
        if not is_loopback(self.host):
            raise NotLoopback(f"the sandbox listens on a loopback address only, not on {self.host!r}")


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine's own, unreachable from others."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
