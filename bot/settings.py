"""The bot's settings: what tocsin/settings.py reads for every service, and these."""

from collections.abc import Set
from typing import Annotated, Any, ClassVar
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, AnyHttpUrl, BeforeValidator, Field, FilePath, SecretStr, field_validator
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from bot.delivery.addresses import secret_address
from bot.delivery.channels import PAGERDUTY_URL, Channel, Form, Kind, parse_addresses, parse_keys, read_template
from bot.localtime import UTC, zone_named
from bot.routing.quiet import QuietHours, parse_quiet_hours
from bot.routing.routes import Route, Runbook, parse_routes, parse_runbooks
from bot.rules.policy import FAILED
from bot.rules.ruleset import SWITCHES
from tocsin.settings import Settings


def _routes(value: Any) -> Any:
    return parse_routes(value) if isinstance(value, str) else value


def _slack(value: SecretStr | None) -> SecretStr | None:
    parse_addresses(Kind.SLACK, value.get_secret_value() if value else "")
    return value


def _pagerduty(value: SecretStr | None) -> SecretStr | None:
    parse_keys(value.get_secret_value() if value else "")
    return value


def _webhook(value: SecretStr | None) -> SecretStr | None:
    parse_addresses(Kind.WEBHOOK, value.get_secret_value() if value else "")
    return value


def _quiet_hours(value: Any) -> Any:
    return parse_quiet_hours(value) if isinstance(value, str) else value


def _zone(value: Any) -> Any:
    return zone_named(value) if isinstance(value, str) else value


def _chain(value: Any) -> Any:
    routes: Any = _routes(value)
    if isinstance(value, str) and "=" in value:
        raise ValueError("expected chat_id[/topic_id], comma-separated, without a pattern")
    return routes


def _runbooks(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    read = parse_runbooks(value)
    _known({one.rule for one in read if one.rule}, SWITCHES | {FAILED.name})
    return read


def _rule_names(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    names = frozenset(part.strip() for part in value.split(",") if part.strip())
    _known(names, SWITCHES)
    return names


def _known(names: Set[str], known: Set[str]) -> None:
    if unknown := sorted(names - known):
        raise ValueError(f"no such rule: {', '.join(unknown)}; there are {', '.join(sorted(known))}")


def _user_ids(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    parts = [part.strip() for part in value.split(",") if part.strip()]
    if not all(part.isdecimal() for part in parts):
        raise ValueError("expected Telegram user ids (numbers), comma-separated; /whoami tells a person theirs")
    return tuple(int(part) for part in parts)


class BotSettings(Settings):
    """Settings of the bot."""

    service: ClassVar[str] = "bot"
    owned_prefixes: ClassVar[tuple[str, ...]] = (*Settings.owned_prefixes, "TELEGRAM_", "DATABASE_", "BOT_")
    database_url: SecretStr = Field(
        description="Postgres, `postgresql://user:password@host:port/name`. PgBouncer in transaction mode will do."
    )
    telegram_bot_token: SecretStr = Field(description="The bot's token, from @BotFather.")
    telegram_api_url: AnyHttpUrl = Field(
        AnyHttpUrl("https://api.telegram.org"),
        description="Telegram's Bot API; another address for a local Bot API server or the sandbox.",
    )
    telegram_alert_chats: Annotated[tuple[Route, ...], BeforeValidator(_routes)] = Field(
        (),
        description="Who is rung: `[env or source/queue glob=]chat_id[/topic_id][:silent]`, comma-separated. "
        "Every entry that matches gets the alert; what none matches goes to TELEGRAM_ADMINS.",
    )
    telegram_admins: Annotated[tuple[int, ...], BeforeValidator(_user_ids)] = Field(
        (), description="Telegram user ids, comma-separated, who may ask anything. /whoami tells a person theirs."
    )
    bot_resolve_seconds: float = Field(
        1800, gt=0, description="An incident is over when its failure was not seen for so long; then it rings anew."
    )
    bot_stale_seconds: float = Field(
        600, gt=0, description="A failure older than this when read does not ring by itself: one summary tells of all."
    )
    bot_remind_seconds: float = Field(
        1800, gt=0, description="What nobody has acked is reminded of this often; one message for all of it."
    )
    bot_ack_seconds: float = Field(
        14400, gt=0, description="An ack holds for so long; if the failure still goes on then, somebody else is asked."
    )
    bot_escalate_seconds: float = Field(
        900,
        gt=0,
        description="What nobody has acked for so long is brought to the next one: of the rota, then of these.",
    )
    bot_escalate_to: Annotated[tuple[Route, ...], BeforeValidator(_chain)] = Field(
        (), description="`chat_id[/topic_id]`, comma-separated, in this order; a person's id is their private chat's."
    )
    bot_quiet_hours: Annotated[tuple[QuietHours, ...], BeforeValidator(_quiet_hours)] = Field(
        (),
        description="What may wait for the morning: `[env or source/queue glob=]HH:MM-HH:MM`, comma-separated. "
        "What begins then does not ring; a digest tells of it at the end.",
    )
    bot_time_zone: Annotated[ZoneInfo, BeforeValidator(_zone)] = Field(
        UTC,
        description="IANA name, e.g. Europe/Berlin: the zone of every time in chats, of quiet hours and of the rota.",
    )
    bot_slack: Annotated[SecretStr | None, AfterValidator(_slack)] = Field(
        None, description="Slack's incoming webhooks: `[env or source/queue glob=]https://hooks…`, comma-separated."
    )
    bot_pagerduty: Annotated[SecretStr | None, AfterValidator(_pagerduty)] = Field(
        None, description="PagerDuty, Events API v2: `[env or source/queue glob=]ROUTING_KEY`, comma-separated."
    )
    bot_pagerduty_url: AnyHttpUrl = Field(
        AnyHttpUrl(PAGERDUTY_URL),
        description="Where PagerDuty takes events; for the EU https://events.eu.pagerduty.com/…",
    )
    bot_webhook: Annotated[SecretStr | None, AfterValidator(_webhook)] = Field(
        None, description="Addresses that are sent JSON: `[env or source/queue glob=]https://…`, comma-separated."
    )
    bot_webhook_secret: SecretStr | None = Field(
        None, min_length=16, description="Signs what BOT_WEBHOOK is sent: HMAC-SHA256 of timestamp and body."
    )
    bot_webhook_template: FilePath | None = Field(
        None,
        description="A file with the JSON that BOT_WEBHOOK is sent, $names in its strings; default all of it.",
    )
    bot_rules_off: Annotated[frozenset[str], BeforeValidator(_rule_names)] = Field(
        frozenset(), description="Rules that do not ring, by name, comma-separated; /rules names them all."
    )
    bot_runbooks: Annotated[tuple[Runbook, ...], BeforeValidator(_runbooks)] = Field(
        (),
        description="What to do about a queue or what a rule found, linked from its alerts: `[source/]queue glob=URL` "
        "or `rule:NAME=URL`, comma-separated; the first that matches.",
    )
    bot_storm_incidents: int = Field(
        5, ge=1, description="More new incidents of one env than this within a minute share one message."
    )
    bot_edit_seconds: float = Field(5, ge=0, description="A message is edited at most this often.")

    heartbeat_url: SecretStr | None = Field(
        None,
        description="Asked (GET) once a minute while Kafka, Postgres and Telegram carry what they are given; who hears "
        "nothing for some minutes raises the alarm. https, or http to this machine.",
    )
    bot_link_minutes: int = Field(10, ge=1, le=1440, description="How long a login link is good, if nobody uses it.")
    bot_login_hours: float = Field(
        168, gt=0, le=8760, description="How long one stays logged into the page; /revoke ends it earlier."
    )

    bot_session_seconds: float = Field(
        6,
        ge=6,
        le=60,
        description="A replica silent for so long loses its partitions to another, or to its own restart.",
    )

    @field_validator("database_url")
    @classmethod
    def _is_postgres(cls, value: SecretStr) -> SecretStr:
        try:
            url = make_url(value.get_secret_value())
        except ArgumentError:
            raise ValueError("expected postgresql://user:password@host:port/name") from None
        if url.get_backend_name() not in ("postgresql", "postgres"):
            raise ValueError("expected postgresql://user:password@host:port/name")
        return value

    @field_validator("bot_webhook_template")
    @classmethod
    def _is_template(cls, value: FilePath | None) -> FilePath | None:
        if value is not None:
            read_template(value.read_text())
        return value

    @field_validator("heartbeat_url")
    @classmethod
    def _is_private(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            secret_address(value.get_secret_value())
        return value

    @property
    def channels(self) -> tuple[Channel, ...]:
        """Every channel beside Telegram."""

        def text(secret: SecretStr | None) -> str:
            return secret.get_secret_value() if secret else ""

        return (
            *parse_addresses(Kind.SLACK, text(self.bot_slack)),
            *parse_keys(text(self.bot_pagerduty)),
            *parse_addresses(Kind.WEBHOOK, text(self.bot_webhook)),
        )

    @property
    def form(self) -> Form:
        """How those are spoken to."""
        secret = self.bot_webhook_secret.get_secret_value() if self.bot_webhook_secret else ""
        template = read_template(self.bot_webhook_template.read_text()) if self.bot_webhook_template else None
        return Form(str(self.bot_pagerduty_url), secret, template)

    @property
    def api_base(self) -> str:
        """Telegram's address without a slash at the end."""
        return str(self.telegram_api_url).rstrip("/")
