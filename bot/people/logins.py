"""Login links, as people open them."""

from dataclasses import dataclass
from urllib.parse import quote

from bot.settings import BotSettings


@dataclass(frozen=True)
class Logins:
    """base: without a slash at the end. minutes: how long a login link is good; login_hours: how long its session."""

    base: str
    minutes: int
    login_hours: float

    @classmethod
    def of(cls, settings: BotSettings) -> "Logins":
        base = str(settings.public_url or f"http://127.0.0.1:{settings.logsvc_port}")
        return cls(base.rstrip("/"), settings.bot_link_minutes, settings.bot_login_hours)

    def link(self, ticket: str, page: str = "") -> str:
        """The link that a ticket makes. page: where it leads then, e.g. `incidents/7`; empty = the live page.

        The ticket comes last: who pastes the whole link into a login page pastes that too.
        """
        following = f"next={quote(page, safe='')}&" if page else ""
        return f"{self.base}/login?{following}ticket={ticket}"

    def page(self, page: str) -> str:
        """The same for who is logged in."""
        return f"{self.base}/{page}"
