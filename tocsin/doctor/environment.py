"""The settings the doctor needs, read leniently: it must speak up exactly where a service would refuse to start."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from tocsin.doctor.finding import Environ

MAX_SOURCES = 100


class Unreadable(Exception):
    """A setting cannot be read; `name` is the variable."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(why)
        self.name = name


@dataclass(frozen=True)
class RedisSource:
    """One Redis and BullMQ prefix, from REDIS_URL, REDIS_SOURCES or TOCSIN_SOURCES_FILE.

    url: of the process to look at; empty where sentinels or a cluster have to be asked for it. options: how to log in
    there, as redis-py calls it; sentinel_options: the same for the sentinels. acting: the same Redis by the login that
    may write.
    """

    name: str
    url: str
    prefix: str
    setting: str
    mode: str = "standalone"
    nodes: tuple[str, ...] = ()
    master: str = ""
    db: int = 0
    reads_replica: bool = False
    has_tls: bool = False
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    sentinel_options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    acting: "RedisSource | None" = None

    @property
    def user(self) -> str:
        """Who is logged in."""
        return str(self.options.get("username") or unquote(urlsplit(self.url).username or "default"))

    def at(self, address: str, **more: Any) -> "RedisSource":
        """One process of it, by host:port."""
        scheme = "rediss" if self.has_tls else "redis"
        return replace(self, url=f"{scheme}://{address}/{self.db}", **more)


def value(environ: Environ, name: str) -> str | None:
    """A setting, itself or from the file that NAME_FILE names; None if neither is set. Raises Unreadable."""
    if given := environ.get(name):
        return given
    path = environ.get(f"{name}_FILE")
    if not path:
        return None
    try:
        return Path(path).read_text().strip() or None
    except OSError as error:
        raise Unreadable(f"{name}_FILE", f"cannot be read: {error.strerror}") from None


def redis_sources(environ: Environ) -> list[RedisSource]:
    """Every Redis to look at; empty if none is set. Raises Unreadable."""
    if url := value(environ, "REDIS_URL"):
        acting = value(environ, "REDIS_ACTIONS_URL")
        writes = RedisSource("main actions", acting, "bull", "REDIS_ACTIONS_URL") if acting else None
        return [RedisSource("main", url, "bull", "REDIS_URL", acting=writes)]
    if short := value(environ, "REDIS_SOURCES"):
        pairs = [part.strip().partition("=") for part in short.split(",") if part.strip()]
        return [RedisSource(name, url, "bull", "REDIS_SOURCES") for name, _, url in pairs][:MAX_SOURCES]
    if path := environ.get("TOCSIN_SOURCES_FILE"):
        return _sources_file(Path(path))[:MAX_SOURCES]
    return []


def place(url: str) -> str:
    """host:port of an address, for people: nothing else of it is printed."""
    try:
        parts = urlsplit(url if "://" in url else f"//{url}")
        host = parts.hostname or parts.path or "?"
        return (f"[{host}]" if ":" in host else host) + (f":{parts.port}" if parts.port else "")
    except ValueError:  # its message quotes the address
        return "(an address that cannot be read)"


def _sources_file(path: Path) -> list[RedisSource]:
    try:
        return [_source(table) for table in tomllib.loads(path.read_text()).get("source", [])]
    except OSError as error:
        raise Unreadable("TOCSIN_SOURCES_FILE", f"cannot be read: {error.strerror}") from None
    except tomllib.TOMLDecodeError as error:
        raise Unreadable("TOCSIN_SOURCES_FILE", f"is not TOML: {error}") from None
    except (KeyError, TypeError, ValueError, AttributeError):
        raise Unreadable(
            "TOCSIN_SOURCES_FILE", "every [[source]] needs a name and a url, or a mode with its nodes"
        ) from None


def _source(table: Mapping[str, Any]) -> RedisSource:
    mode, tls = str(table.get("mode", "standalone")), table.get("tls")
    login: Mapping[str, Any] = table.get("credentials", {})
    url = str(table["url"]) if mode == "standalone" else ""
    nodes = tuple(str(node) for node in table.get("nodes", ()))
    if mode != "standalone" and not nodes:
        raise KeyError("nodes")
    encrypted = _encrypted(tls or {}) if tls is not None else {}
    source = RedisSource(
        str(table["name"]),
        url,
        str(table.get("prefix", "bull")),
        "TOCSIN_SOURCES_FILE",
        mode=mode,
        nodes=nodes,
        master=str(table.get("master", "")),
        db=int(table.get("db", 0)),
        reads_replica=table.get("read_from") == "replica",
        has_tls=tls is not None or url.startswith("rediss://"),
        options={**_login(login, ""), **encrypted},
        sentinel_options={**_login(login, "sentinel_"), **encrypted, **({"ssl": True} if tls is not None else {})},
    )
    return replace(source, acting=_acting(source, table["actions"], encrypted)) if "actions" in table else source


def _acting(source: RedisSource, table: Mapping[str, Any], encrypted: Mapping[str, Any]) -> RedisSource:
    """The source by the login of its `actions` table; the reading login is nowhere in it."""
    scheme, _, place = source.url.partition("://")
    authority, slash, path = place.partition("/")
    bare = f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}" if source.url else ""
    url = str(table.get("url", bare))
    return replace(
        source,
        name=f"{source.name} actions",
        url=url,
        nodes=() if source.mode == "standalone" else source.nodes,
        reads_replica=False,
        options={**_login(table, ""), **({} if url.startswith("redis://") else encrypted)},
        sentinel_options={**source.sentinel_options, **_login(table, "sentinel_")},
    )


def _encrypted(tls: Mapping[str, Any]) -> dict[str, Any]:
    files = {"ssl_ca_certs": "ca_file", "ssl_certfile": "cert_file", "ssl_keyfile": "key_file"}
    given = {option: str(tls[key]) for option, key in files.items() if key in tls}
    return {**given, "ssl_check_hostname": bool(tls.get("check_hostname", True))}


def _login(login: Mapping[str, Any], whose: str) -> dict[str, Any]:
    told = {"username": login.get(f"{whose}username"), "password": login.get(f"{whose}password")}
    if path := login.get(f"{whose}password_file"):
        told["password"] = Path(str(path)).read_text().strip()
    return {option: str(said) for option, said in told.items() if said is not None}
