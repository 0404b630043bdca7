"""logsvc's settings."""

import ipaddress
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import AnyHttpUrl, BeforeValidator, Field, FilePath, SecretStr, ValidationInfo, field_validator

from logsvc.proxies import Network, Proxies, ProxyRole, parse_networks, parse_roles
from logsvc.schema.words import SearchIndex
from tocsin.settings import Settings

LOOPBACK_NAMES = ("localhost", "ip6-localhost")


WAYS = "set TOCSIN_SERVICE_TOKEN (login links from the bot), or TRUSTED_PROXIES and LOGSVC_PROXY_USER_HEADER"
WITHOUT_LOGIN = (
    f"anyone who reached it could read everything. Set it to 32 characters or more (openssl rand -hex 32), and {WAYS}. "
    "docs/login.md says more"
)


def _networks(value: Any) -> Any:
    return parse_networks(value) if isinstance(value, str) else value


def _roles(value: Any) -> Any:
    return parse_roles(value) if isinstance(value, str) else value


class LogsvcSettings(Settings):
    """What logsvc reads."""

    service: ClassVar[str] = "logsvc"
    owned_prefixes: ClassVar[tuple[str, ...]] = (*Settings.owned_prefixes, "CLICKHOUSE_", "LOGSVC_")
    clickhouse_url: SecretStr = Field(
        description="`http(s)://user:password@host:port/database`, or `chdb:///directory` for the embedded one."
    )
    clickhouse_ca_file: FilePath | None = Field(
        None, description="CA that signed ClickHouse's certificate; default the system's."
    )
    clickhouse_cluster: str = Field(
        "",
        pattern=r"^[A-Za-z0-9_.{}-]{0,100}$",
        description="Cluster of one shard on which the tables are made (`ON CLUSTER`, Replicated engines; a macro such "
        "as `{cluster}` will do). Set it before the first start. Unset: one server, or ClickHouse Cloud.",
    )
    trusted_proxies: Annotated[tuple[Network, ...], BeforeValidator(_networks)] = Field(
        (),
        description="Addresses and networks of proxies in front, comma-separated: what they say of the browser's "
        "address, and of who somebody is, is believed. Nobody else's word is.",
    )
    logsvc_proxy_user_header: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9-]{1,100}$",
        validate_default=True,
        description="Header in which those proxies name the person, e.g. `X-Forwarded-User`. They must drop it from "
        "what people send. Unset: no proxy logs anybody in.",
    )
    logsvc_proxy_roles: Annotated[tuple[ProxyRole, ...], BeforeValidator(_roles)] = Field(
        (),
        description="Who is what when a proxy names them: `GLOB=ROLE, …`, the first that fits; role viewer, operator, "
        "admin or none. Who fits nowhere is a viewer.",
    )
    session_secret: SecretStr | None = Field(
        None,
        min_length=32,
        validate_default=True,
        description="Signs login sessions; the same for all replicas. Set: nobody gets in without a login. Unset: "
        "this machine only, and no login.",
    )
    logsvc_retention_days: int = Field(30, ge=1, le=3650, description="How long history is kept.")
    logsvc_search_index: Literal["auto", "text", "tokenbf", "none"] = Field(
        "auto",
        description="How texts are indexed for the search: `text` (ClickHouse 26.2 and newer; about 30 bytes a row), "
        "`tokenbf` (5 bytes, slower to search) or `none`; `auto` takes the first that this ClickHouse has.",
    )
    logsvc_insert_seconds: float = Field(
        0.25,
        ge=0,
        le=60,
        description="Least time between two inserts into one table, which this replica's partitions take in turn "
        "(snapshots 20 times that, for they are told from Kafka); a full batch goes at once. The live page does not "
        "wait for it.",
    )
    logsvc_batch_rows: int = Field(50_000, ge=1, le=50_000, description="Most rows of one insert.")
    logsvc_buffer_mib: int = Field(
        256, ge=16, description="Memory for records read but not stored yet, all partitions; then reading pauses."
    )
    logsvc_session_seconds: float = Field(
        10, ge=1, le=60, description="A replica silent for so long loses its partitions to another."
    )
    logsvc_ring_rows: int = Field(20_000, ge=100, description="Newest records kept for viewers who reconnect.")
    logsvc_ring_mib: int = Field(64, ge=1, description="Memory those may take.")
    logsvc_resume_rows: int = Field(
        50_000, ge=0, description="Most records read from Kafka again for one who reconnects later than that."
    )
    logsvc_viewers: int = Field(1_000, ge=1, description="Most live viewers at once.")
    logsvc_viewers_per_address: int = Field(
        100, ge=1, description="Most of one address; programs on this host are only counted among all."
    )
    logsvc_syslog_port: int | None = Field(
        None,
        ge=1,
        le=65535,
        description="UDP and TCP port that hears the proxy's log lines (syslog), from private "
        "addresses (100.64.0.0/10 too) only. Unset: none.",
    )
    websocket_port: int | None = Field(
        None, ge=0, le=65535, description="An extra port for the WebSocket /ws alone; it is at LOGSVC_PORT too."
    )
    logsvc_allowed_origins: str = Field(
        "",
        pattern=r"^(https?://[^\s,/]+(,https?://[^\s,/]+)*)?$",
        description="Pages that are not ours and may read all the same, from a browser on this machine: "
        "`http://127.0.0.1:3000,…`. Our own, and that of PUBLIC_URL, need no entry.",
    )
    logsvc_live_deflate: bool = Field(
        True, description="Compress the live stream for viewers who ask for it (every browser does)."
    )
    trace_url_template: str | None = Field(
        None,
        pattern=r"^https?://\S*\{trace_id\}\S*$",
        max_length=2000,
        description='Where your tracing shows a trace, with `{trace_id}` in it: the page then offers "Open trace" on '
        "jobs that carry one. Example: `https://jaeger.example.com/trace/{trace_id}`.",
    )

    @field_validator("logsvc_proxy_user_header")
    @classmethod
    def _only_from_known_proxies(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value and not info.data.get("trusted_proxies", True):
            raise ValueError("of no effect without TRUSTED_PROXIES")
        return value

    @field_validator("session_secret")
    @classmethod
    def _locked_where_it_must_be(cls, secret: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        host: str = info.data.get("bind_host", "127.0.0.1")
        url: AnyHttpUrl | None = info.data.get("public_url")
        is_far = url is not None and not is_loopback(url.host or "")
        has_way = bool(info.data.get("tocsin_service_token") or info.data.get("logsvc_proxy_user_header"))
        if secret is None:
            for name, is_reached in (("BIND_HOST", not is_loopback(host)), ("PUBLIC_URL", is_far)):
                if is_reached:
                    raise ValueError(f"required while {name} is not a loopback address: {WITHOUT_LOGIN}")
            if info.data.get("trusted_proxies"):
                raise ValueError("required while TRUSTED_PROXIES is set")
        elif not has_way:
            raise ValueError(f"set, but nobody could log in: {WAYS}")
        elif is_far and url is not None and url.scheme != "https":
            raise ValueError("set, so PUBLIC_URL must be https: a session must not travel in the clear")
        return secret

    @field_validator("clickhouse_url")
    @classmethod
    def _known_scheme(cls, url: SecretStr) -> SecretStr:
        parts = urlsplit(url.get_secret_value())
        if parts.scheme not in ("http", "https", "chdb"):
            raise ValueError("expected http://, https:// or chdb:///directory")
        if parts.scheme == "chdb" and (parts.netloc or not parts.path.strip("/")):
            raise ValueError("expected chdb:///directory, with three slashes and an absolute path")
        return url

    @field_validator("clickhouse_ca_file")
    @classmethod
    def _only_with_tls(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        url: SecretStr | None = info.data.get("clickhouse_url")
        if url and value and urlsplit(url.get_secret_value()).scheme != "https":
            raise ValueError("of no effect unless CLICKHOUSE_URL is https://")
        return value

    @property
    def base_path(self) -> str:
        """The path of PUBLIC_URL, with slashes around."""
        path = (self.public_url.path or "").strip("/") if self.public_url else ""
        return f"/{path}/" if path else "/"

    @property
    def search_index(self) -> SearchIndex | None:
        """The index asked for; None = the best there is."""
        return None if self.logsvc_search_index == "auto" else SearchIndex(self.logsvc_search_index)

    @property
    def proxies(self) -> Proxies:
        """What is believed of whom."""
        return Proxies(self.trusted_proxies, (self.logsvc_proxy_user_header or "").lower(), self.logsvc_proxy_roles)

    @property
    def consumer_group(self) -> str:
        """The Kafka group whose members share the ingest."""
        return f"{self.kafka_topic_prefix}logsvc"

    @property
    def fetch_wait_ms(self) -> int:
        """How long Kafka may hold a fetch that has nothing yet; the in-memory stand-in does not wake one early."""
        return 500 if self.kafka_transactions else 20


class TableSettings(LogsvcSettings):
    """The same for who only wants to read the tables' SQL: no address is needed."""

    kafka_bootstrap_servers: str = Field("127.0.0.1:1", description="Not asked.")
    clickhouse_url: SecretStr = Field(SecretStr("chdb:///nowhere"), description="Not asked.")


def is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine only."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() in LOOPBACK_NAMES
