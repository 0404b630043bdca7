"""The data directory: one owner at a time, secrets of its own, and which servers' data is where."""

import fcntl
import json
import os
import secrets
import string
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from tocsin.stack.secret_file import secret_in, write_secret

_TOKEN_LETTERS = string.ascii_letters + string.digits + "_-"


class AlreadyRunning(Exception):
    """Another process owns the data directory; the message says which and what to do."""


@contextmanager
def owned(data: Path) -> Generator[Path]:
    """Hold the data directory, made if missing, for this process; gives its absolute path.

    Raises AlreadyRunning; never waits.
    """
    data.mkdir(parents=True, exist_ok=True)
    with (data / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            owner = lock.read().strip() or "unknown"
            raise AlreadyRunning(
                f"Tocsin already runs on {data} (process {owner}). Stop it, or give this one its own: --data DIR"
            ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield data.resolve()


def kept_secrets(data: Path) -> Mapping[str, str]:
    """TOCSIN_SERVICE_TOKEN, made at the first start and the same ever after.

    No SESSION_SECRET: what runs here is open to this machine only, and needs no login until somebody sets one.
    """
    return {"TOCSIN_SERVICE_TOKEN": secret_in(data / "secrets" / "service_token", lambda: secrets.token_urlsafe(32))}


def keep_settings(data: Path, settings: Mapping[str, str]) -> None:
    """Leave word of what was chosen here and not given: addresses, ports, passwords. For kept_settings."""
    write_secret(_settings_file(data), json.dumps(dict(settings), indent=1, sort_keys=True))


def kept_settings(data: Path) -> dict[str, str]:
    """What the latest start on this directory chose; nothing if there was none."""
    with suppress(OSError, ValueError, TypeError, AttributeError):
        return {str(name): str(value) for name, value in json.loads(_settings_file(data).read_text()).items()}
    return {}


def _settings_file(data: Path) -> Path:
    return data / "secrets" / "settings.json"


def sandbox_bot_token(data: Path) -> str:
    """A token of Telegram's form for the sandbox; Telegram itself never gave it out."""
    return secret_in(token_file(data), _new_bot_token)


def token_file(data: Path) -> Path:
    """Where sandbox_bot_token is kept."""
    return data / "secrets" / "sandbox_bot_token"


def _new_bot_token() -> str:
    number = secrets.randbelow(900_000_000) + 100_000_000
    return f"{number}:" + "".join(secrets.choice(_TOKEN_LETTERS) for _ in range(35))
