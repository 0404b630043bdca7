"""What must never be printed: registered secrets, and whatever looks like a bot token or a URL's password."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast
from urllib.parse import quote

HIDDEN = "[hidden]"
LEAST_SECRET = 6
"""Characters. To hide shorter ones would blank out half of every line."""

_BOT_TOKEN = re.compile(r"(\d{5,}):[A-Za-z0-9_-]{30,}")
_URL_PASSWORD = re.compile(r"""(\w+://[^\s:/@]*):[^\s/"']+@""")
_NOTHING = re.compile(r"(?!)")
_DEEPEST = 8

_secrets: set[str] = set()
_registered = _NOTHING


def register(secrets: Iterable[str]) -> None:
    """Hide these values from now on, in this process; those shorter than LEAST_SECRET are not looked for."""
    global _registered
    _secrets.update(secret for secret in secrets if len(secret) >= LEAST_SECRET)
    forms = {form for secret in _secrets for form in _forms(secret)}
    longest_first = sorted(forms, key=len, reverse=True)  # or the end of a secret that begins with another would stay
    _registered = re.compile("|".join(map(re.escape, longest_first))) if longest_first else _NOTHING


def _forms(secret: str) -> Iterator[str]:
    """A secret as texts hold it: as it is, inside quotes, inside a URL."""
    yield secret
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield repr(secret)[1:-1]
    yield repr(secret.encode(errors="backslashreplace"))[2:-1]
    yield quote(secret, safe="", errors="backslashreplace")


def hide(text: str) -> str:
    """Return text with secrets replaced by `[hidden]`."""
    text = _registered.sub(HIDDEN, text)
    return _URL_PASSWORD.sub(rf"\1:{HIDDEN}@", _BOT_TOKEN.sub(rf"\1:{HIDDEN}", text))


def without_secrets(value: object, depth: int = 0) -> Any:
    """Return value with every text in it hidden, names of mappings too; what is no plain data becomes its repr."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        return hide(value)
    if depth < _DEEPEST and isinstance(value, Mapping):
        mapping = cast(Mapping[object, object], value)
        return {hide(str(name)): without_secrets(inner, depth + 1) for name, inner in mapping.items()}
    if depth < _DEEPEST and isinstance(value, (list, tuple, set, frozenset)):
        return [without_secrets(inner, depth + 1) for inner in cast(Iterable[object], value)]
    return hide(repr(value))
