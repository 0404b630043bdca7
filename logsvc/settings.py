"""logsvc's settings."""

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import Field, FilePath, SecretStr, ValidationInfo, field_validator

from logsvc.words import SearchIndex
from tocsin.settings import Settings

LOOPBACK_NAMES = ("localhost", "ip6-localhost")


class LogsvcSettings(Settings):
    """What logsvc reads."""

    service: ClassVar[str] = "logsvc"
    owned_prefixes: ClassVar[tuple[str, ...]] = (*Settings.owned_prefixes, "CLICKHOUSE_", "LOGSVC_")
    not_yet: ClassVar[Mapping[str, str]] = {
        "TRUSTED_PROXIES": "Login comes with a later release; keep logsvc on loopback and reach it by an SSH tunnel.",
        "WEBSOCKET_PORT": "The live stream is at LOGSVC_PORT, /api/v1/live.",
        "LOGSVC_SYSLOG_PORT": "Have the proxy log to its standard output.",
    }
    not_used_yet: ClassVar[Mapping[str, str]] = {
        **Settings.not_used_yet,
        "SESSION_SECRET": "login comes with a later release; logsvc answers on loopback only until then",
    }

    clickhouse_url: SecretStr = Field(
        description="`http(s)://user:password@host:port/database`, or `chdb:///directory` for the embedded one."
    )
    clickhouse_ca_file: FilePath | None = Field(
        None, description="CA that signed ClickHouse's certificate; default the system's."
    )
    session_secret: SecretStr | None = Field(
        None, min_length=16, description="Signs login sessions. Accepted now, used once login exists."
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
        description="Least time between two inserts into one table, which its partitions take in turn; a full batch "
        "goes at once.",
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
    logsvc_live_deflate: bool = Field(
        True, description="Compress the live stream for viewers who ask for it (every browser does)."
    )

    @field_validator("bind_host")
    @classmethod
    def _only_loopback(cls, host: str) -> str:
        if not is_loopback(host):
            raise ValueError(
                "only a loopback address is allowed while there is no login: anyone who reached it could read "
                "everything. Leave it at 127.0.0.1"
            )
        return host

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
    def search_index(self) -> SearchIndex | None:
        """The index asked for; None = the best there is."""
        return None if self.logsvc_search_index == "auto" else SearchIndex(self.logsvc_search_index)

    @property
    def consumer_group(self) -> str:
        """The Kafka group whose members share the ingest."""
        return f"{self.kafka_topic_prefix}logsvc"

    @property
    def fetch_wait_ms(self) -> int:
        """How long Kafka may hold a fetch that has nothing yet; the in-memory stand-in does not wake one early."""
        return 500 if self.kafka_transactions else 20


def is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine only."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() in LOOPBACK_NAMES
