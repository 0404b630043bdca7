"""The bridge's settings, and the Redis sources they describe."""

import hashlib
import json
import re
import tomllib
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self, TypeGuard, cast

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from bridge.actions.connection import ActionsConnection, acting_topology
from bridge.actions.policy import Policy, parse_policy
from bridge.redaction.patterns import read_patterns
from bridge.topology import Topology, check_url, explain
from tocsin.settings import HOLDS_SECRETS, Settings

NAME = r"^[A-Za-z0-9._-]+$"
OURS = frozenset({"bridge", "logsvc", "bot", "proxy"})
"""Tocsin's own services: their log lines are told under these names where a source's stands otherwise."""


class Source(Topology):
    """One Redis and BullMQ prefix under a name of its own: a first-class key everywhere."""

    name: str = Field("main", pattern=NAME, description="Name of the source; no ':'.")
    env: str = Field("prod", pattern=NAME, description="Environment it belongs to: prod, staging …")
    prefix: str = Field("bull", min_length=1, description="BullMQ's key prefix.")
    include: tuple[str, ...] = Field((), description="Globs of queue names to watch; empty: all.")
    exclude: tuple[str, ...] = Field((), description="Globs of queue names to leave out.")
    actions: ActionsConnection | None = Field(None, description="A second connection, which may write; none: off.")

    @field_validator("name")
    @classmethod
    def _none_of_ours(cls, name: str) -> str:
        if name in OURS:
            raise ValueError(f"{name} is a service of Tocsin's own: choose another name")
        return name

    @model_validator(mode="after")
    def _can_act(self) -> Self:
        _ = self.acting
        return self

    @property
    def acting(self) -> Topology | None:
        """Where actions are done; None = they are off."""
        return None if self.actions is None else acting_topology(self, self.actions)

    def watches(self, queue: str) -> bool:
        """Whether a queue of this name is to be watched."""
        wanted = not self.include or any(fnmatchcase(queue, glob) for glob in self.include)
        return wanted and not any(fnmatchcase(queue, glob) for glob in self.exclude)

    @property
    def listed(self) -> frozenset[str] | None:
        """The queues to watch, where `include` names each; None = they are to be looked for."""
        if not self.include or any(letter in glob for glob in self.include for letter in "*?["):
            return None
        return frozenset(queue for queue in self.include if queue and ":" not in queue and self.watches(queue))

    @property
    def scope(self) -> str:
        """Which queues these settings cover, as a digest: a scan under others says nothing of what they left out."""
        covered = json.dumps([self.prefix, sorted(self.include), sorted(self.exclude)])
        return hashlib.blake2b(covered.encode(), digest_size=8).hexdigest()


def _distinct(sources: tuple[Source, ...]) -> tuple[Source, ...]:
    if len({source.name for source in sources}) < len(sources):
        raise ValueError("two sources have the same name")
    return sources


def _short_form(value: object) -> object:
    """`name=url,name=url` -> sources."""
    if not isinstance(value, str):
        return value
    pairs = [part.strip().partition("=") for part in value.split(",") if part.strip()]
    return tuple({"name": name, "url": url} for name, _, url in pairs)


def _file_form(value: object) -> object:
    """The path of the sources file -> sources."""
    return read_sources(Path(value)) if isinstance(value, str) else value


def _policy(value: object) -> object:
    """The text of the policy -> its rules."""
    return parse_policy(value) if isinstance(value, str) else value


def _patterns(value: object) -> object:
    """The operator's patterns, tried out."""
    return read_patterns(value) if isinstance(value, str) else value


class BridgeSettings(Settings):
    """What the bridge reads."""

    service: ClassVar[str] = "bridge"
    owned_prefixes: ClassVar[tuple[str, ...]] = (*Settings.owned_prefixes, "BRIDGE_", "REDIS_", "TOCSIN_SOURCES")

    redis_url: Annotated[SecretStr | None, AfterValidator(check_url)] = Field(
        None, description="The one Redis to watch: `redis://host:6379/0`."
    )
    redis_sources: Annotated[tuple[Source, ...], BeforeValidator(_short_form), AfterValidator(_distinct)] = Field(
        (), description="Several, short form: `name=url,name=url`.", json_schema_extra=HOLDS_SECRETS
    )
    tocsin_sources_file: Annotated[tuple[Source, ...], BeforeValidator(_file_form), AfterValidator(_distinct)] = Field(
        (), description="Several, in full: the path of a TOML file of [[source]] tables."
    )
    redis_actions_url: Annotated[SecretStr | None, AfterValidator(check_url)] = Field(
        None, description="REDIS_URL's Redis again, as a user who may write: turns actions (retry, pause …) on."
    )
    bridge_action_policy: Annotated[Policy, BeforeValidator(_policy)] = Field(
        Policy(), description="Who may be acted on: `payments-*: no retry; staging/*: all`, see docs/actions.md."
    )
    bridge_redact_patterns: Annotated[tuple[re.Pattern[str], ...], BeforeValidator(_patterns)] = Field(
        (), description="What else to hide: regular expressions, with spaces between them, see docs/security.md."
    )
    bridge_site: str = Field(
        "main", pattern=NAME, description="The bridges that reach the same sources; they share the work."
    )
    bridge_discovery_seconds: float = Field(
        10, gt=0, description="How often queues are looked for, and who is the primary."
    )
    bridge_poll_seconds: float = Field(
        5,
        gt=0,
        description="How often a queue's counts are read; with thousands of queues, those of busy ones.",
    )
    bridge_reconcile_seconds: float = Field(
        20, gt=0, description="How often a queue's jobs are compared with what was told of them; at most 30 is advised."
    )
    bridge_commit_ms: int = Field(
        50, ge=0, le=1000, description="Least time between commits, while less than 1 MiB waits."
    )
    bridge_session_seconds: float = Field(
        10, ge=6, description="A replica silent for so long loses its queues to another."
    )

    @model_validator(mode="before")
    @classmethod
    def _one_way(cls, values: Any) -> Any:
        given: Mapping[str, object] = values
        if sum(bool(given.get(name)) for name in ("redis_url", "redis_sources", "tocsin_sources_file")) != 1:
            raise ValueError("set exactly one of REDIS_URL, REDIS_SOURCES, TOCSIN_SOURCES_FILE")
        return given

    @model_validator(mode="after")
    def _actions_are_safe(self) -> Self:
        if self.redis_actions_url is not None and self.redis_url is None:
            raise ValueError(
                "REDIS_ACTIONS_URL goes with REDIS_URL; other sources have an `actions` table of their own"
            )
        if any(source.actions for source in self.sources) and self.tocsin_service_token is None:
            raise ValueError("actions are configured, and TOCSIN_SERVICE_TOKEN is not: anyone could send them")
        return self

    @property
    def sources(self) -> tuple[Source, ...]:
        """Every source, however it was given."""
        if self.redis_url is not None:
            actions = None
            if self.redis_actions_url is not None:
                actions = ActionsConnection(url=self.redis_actions_url)  # pyright: ignore[reportCallIssue]  # as below
            return (Source(url=self.redis_url, actions=actions),)  # pyright: ignore[reportCallIssue]  # the others have defaults
        return self.redis_sources or self.tocsin_sources_file


def _are_tables(found: object) -> TypeGuard[list[dict[str, Any]]]:
    return isinstance(found, list) and all(isinstance(table, dict) for table in cast(list[object], found))


def read_sources(path: Path) -> tuple[Source, ...]:
    """Read the sources file; raise ValueError naming every source and key that is wrong, never a value."""
    try:
        tables = tomllib.loads(path.read_text()).get("source", [])
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"the sources file cannot be read ({error})") from None
    if not _are_tables(tables):
        raise ValueError("the sources file: each source is a table under [[source]], in two brackets")
    if not tables:
        raise ValueError("the sources file has no [[source]] table")
    sources: list[Source] = []
    problems: list[str] = []
    for number, table in enumerate(tables, 1):
        try:
            sources.append(Source.model_validate(table))
        except ValidationError as error:
            problems.append(f"source {number}: {explain(error)}")
    if problems:
        raise ValueError("; ".join(problems))
    return tuple(sources)
