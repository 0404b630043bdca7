"""Where a source's Redis is and how one logs in there: the keys of the sources file that say so, and what they need."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FilePath,
    SecretStr,
    ValidationError,
    model_validator,
)


class Address(NamedTuple):
    """One process that listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _address(value: object) -> object:
    """`host:port` or `[v6]:port` -> Address."""
    if not isinstance(value, str):
        return value
    host, _, port = value.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError("expected host:port")
    return Address(host.strip("[]"), int(port))


def check_url(url: SecretStr | None) -> SecretStr | None:
    """Raise ValueError if this is no address of a Redis, or one that asks not to look at certificates."""
    if url is None:
        return None
    text = url.get_secret_value()
    if not text.startswith(("redis://", "rediss://", "unix://")):
        raise ValueError("expected an address like redis://host:6379/0")
    if "ssl_cert_reqs" in text or "ssl_check_hostname" in text:
        raise ValueError("a certificate is always checked: leave ssl_cert_reqs and ssl_check_hostname out")
    return url


class Tls(BaseModel):
    """How a server proves who it is, and we to it. A certificate is always checked against a CA."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    ca_file: FilePath | None = Field(
        None, description="The CA that signed the servers' certificates; default system's."
    )
    cert_file: FilePath | None = Field(None, description="Our own certificate, where the servers ask for one.")
    key_file: FilePath | None = Field(None, description="Its key, if it is not in the same file.")
    check_hostname: bool = Field(True, description="Whether a certificate must name the host we connect to.")

    @model_validator(mode="after")
    def _key_of_a_certificate(self) -> "Tls":
        if self.key_file is not None and self.cert_file is None:
            raise ValueError("key_file: of no effect without cert_file")
        return self


class Credentials(BaseModel):
    """Who we are to Redis, and to its sentinels. Each password may stand in a file instead: `password_file`."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    username: str | None = Field(None, min_length=1)
    password: SecretStr | None = None
    sentinel_username: str | None = Field(None, min_length=1)
    sentinel_password: SecretStr | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_files(cls, values: object) -> object:
        if not isinstance(values, dict):
            return values
        given = dict(cast(dict[str, object], values))
        for name in ("password", "sentinel_password"):
            path = given.pop(f"{name}_file", None)
            if path is not None and name in given:
                raise ValueError(f"{name} and {name}_file: keep one")
            if path is not None:
                given[name] = _secret_in(f"{name}_file", path)
        return given

    @model_validator(mode="after")
    def _whose_password(self) -> "Credentials":
        for name in ("", "sentinel_"):
            if getattr(self, f"{name}username") is not None and getattr(self, f"{name}password") is None:
                raise ValueError(f"{name}password: required with {name}username")
        return self


class Topology(BaseModel):
    """One Redis, a primary that sentinels name, or a cluster."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    mode: Literal["standalone", "sentinel", "cluster"] = Field("standalone", description="What kind of Redis it is.")
    url: Annotated[SecretStr | None, AfterValidator(check_url)] = Field(
        None, description="standalone: `redis://[user:password@]host:port/db`, `rediss://` for TLS."
    )
    nodes: tuple[Annotated[Address, BeforeValidator(_address)], ...] = Field(
        (), description="`host:port` each: the sentinels; some nodes of a cluster; a standalone Redis's replica."
    )
    master: str | None = Field(None, min_length=1, description="sentinel: the name they have for the primary.")
    db: int | None = Field(None, ge=0, description="sentinel: the database's number.")
    read_from: Literal["primary", "replica"] = Field("primary", description="Whom the reading loads.")
    tls: Tls | None = None
    credentials: Credentials | None = None

    @model_validator(mode="after")
    def _fits_its_mode(self) -> "Topology":
        problems = list(_misfits(self))
        if problems:
            raise ValueError("; ".join(problems))
        return self


def _misfits(given: Topology) -> Iterator[str]:
    """What a mode needs and is not there, and what is there and does nothing."""
    mode, is_alone = given.mode, given.mode == "standalone"
    needs_nodes = not is_alone or given.read_from == "replica"
    yield from _needed("url", given.url, is_alone, "mode", mode)
    if needs_nodes and not given.nodes:
        yield "nodes: required " + ("to read from a replica: its address" if is_alone else f"with mode {mode}")
    if is_alone and len(given.nodes) > 1:
        yield "nodes: one, the replica to read from"
    if given.nodes and not needs_nodes:
        yield "nodes: of no effect with mode standalone, unless read_from is replica"
    yield from _needed("master", given.master, mode == "sentinel", "mode", mode)
    if given.db and mode != "sentinel":
        yield "db: " + ("write it at the end of the url" if is_alone else "a cluster has only database 0")
    yield from _misfits_of_url(given)
    login = given.credentials
    if login and mode != "sentinel" and (login.sentinel_username or login.sentinel_password):
        yield "credentials: sentinel_… are of no effect without mode sentinel"


def _misfits_of_url(given: Topology) -> Iterator[str]:
    url = given.url.get_secret_value() if given.url else ""
    if given.mode != "standalone" or not url:
        return
    if given.tls and not url.startswith("rediss://"):
        yield "tls: of no effect unless the url begins with rediss://"
    if given.credentials and "@" in url:
        yield "credentials: the url holds some too; keep one"
    if given.read_from == "replica" and url.startswith("unix://"):
        yield "read_from: a url that is a path names no replica"


def _needed(key: str, value: object, is_needed: bool, why: str, reason: str) -> Iterator[str]:
    if is_needed and value is None:
        yield f"{key}: required with {why} {reason}"
    if not is_needed and value is not None:
        yield f"{key}: of no effect with {why} {reason}"


def _secret_in(key: str, path: object) -> str:
    try:
        secret = Path(str(path)).read_text().strip()
    except (OSError, UnicodeDecodeError):
        raise ValueError(f"{key}: the file cannot be read") from None
    if not secret:
        raise ValueError(f"{key}: the file is empty")
    return secret


def explain(error: ValidationError) -> str:
    """pydantic's errors by key name, without values."""
    parts = [(".".join(map(str, one["loc"])), str(one["msg"]).removeprefix("Value error, ")) for one in error.errors()]
    return "; ".join(f"{where}: {what}" if where else what for where, what in parts)
