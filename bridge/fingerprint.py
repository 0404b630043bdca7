"""One short name for "the same failure": what an incident and an error group are keyed by.

Version 1: queue, job name, error type and the top frames of the app's own code without line numbers; where there are no
such frames, the message with everything that varies taken out. A new rule gets a new version; old ones never change.
"""

import hashlib
import re
from collections.abc import Sequence
from functools import lru_cache

VERSION = "v1"
OWN_FRAMES = 5
CACHED_CHARACTERS = 300

_JS_FRAME = re.compile(r"^at (?:(?P<function>.+?) \()?(?P<file>[^()]+?):\d+(?::\d+)?\)?$")
_PYTHON_FRAME = re.compile(r'^File "(?P<file>[^"]+)", line \d+, in (?P<function>.+)$')
_FOREIGN = ("node_modules", "node:", "<anonymous>", "site-packages", "dist-packages", "/lib/python", "internal/")
_BUILD_HASH = re.compile(r"[.-][0-9a-fA-F]{8,}(?=\.)")
_VARYING = (
    (re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"), "<uuid>"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?"), "<time>"),
    (re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"), "<email>"),
    (re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b"), "<address>"),
    (re.compile(r"\"[^\"]*\"|'[^']*'|`[^`]*`"), "<text>"),
    (re.compile(r"\b(?=[0-9a-fA-F]*\d)[0-9a-fA-F]{8,}\b"), "<hex>"),
    (re.compile(r"\d+(?:\.\d+)?"), "<n>"),
)


def fingerprint(queue: str, job_name: str, error_type: str, message: str, frames: Sequence[str]) -> str:
    """16 hex digits. frames: newest call first, as the runtime prints them."""
    own = [place for place in map(_place, frames) if place][:OWN_FRAMES]
    cause = own or [normalise(message)]
    text = "\0".join([VERSION, queue, job_name, error_type, *cause])
    return hashlib.blake2b(text.encode(errors="replace"), digest_size=8).hexdigest()


def normalise(message: str) -> str:
    """A message without what varies between two occurrences: ids, numbers, addresses, times, quoted text."""
    text = message[:1000]
    for pattern, placeholder in _VARYING:
        text = pattern.sub(placeholder, text)
    return text[:200]


def _place(frame: str) -> str:
    """`file:function` of a frame of the app's own code, "" for others'. The same frames come again and again."""
    return _known_place(frame) if len(frame) <= CACHED_CHARACTERS else _find_place(frame)


def _find_place(frame: str) -> str:
    if any(mark in frame for mark in _FOREIGN):
        return ""
    found = _JS_FRAME.match(frame) or _PYTHON_FRAME.match(frame)
    if found is None:
        return ""
    file = re.split(r"[/\\]", found["file"])[-1]
    return f"{_BUILD_HASH.sub('', file)}:{found['function'] or ''}"


_known_place = lru_cache(maxsize=4096)(_find_place)
