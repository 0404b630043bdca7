"""The settings the doctor needs, read leniently: it must speak up exactly where a service would refuse to start."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tocsin.doctor.finding import Environ

MAX_SOURCES = 100


class Unreadable(Exception):
    """A setting cannot be read; `name` is the variable."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(why)
        self.name = name


@dataclass(frozen=True)
class RedisSource:
    """One Redis and BullMQ prefix, from REDIS_URL, REDIS_SOURCES or TOCSIN_SOURCES_FILE."""

    name: str
    url: str
    prefix: str
    setting: str


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
        return [RedisSource("main", url, "bull", "REDIS_URL")]
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
        tables = tomllib.loads(path.read_text()).get("source", [])
        return [
            RedisSource(str(table["name"]), str(table["url"]), str(table.get("prefix", "bull")), "TOCSIN_SOURCES_FILE")
            for table in tables
        ]
    except OSError as error:
        raise Unreadable("TOCSIN_SOURCES_FILE", f"cannot be read: {error.strerror}") from None
    except tomllib.TOMLDecodeError as error:
        raise Unreadable("TOCSIN_SOURCES_FILE", f"is not TOML: {error}") from None
    except (KeyError, TypeError, AttributeError):
        raise Unreadable("TOCSIN_SOURCES_FILE", "every [[source]] needs a name and a url") from None
