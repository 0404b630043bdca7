"""What a check found, and the command that mends it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

Environ = Mapping[str, str]


class Verdict(StrEnum):
    """bad = something will not work, and the doctor exits with 1; warn = works worse than it could; note = a fact."""

    OK = "ok"
    NOTE = "note"
    WARN = "warn"
    BAD = "bad"


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's answer. found and mend hold no secret; mend is empty when nothing is to be done."""

    check: str
    verdict: Verdict
    found: str
    mend: str = ""


def ok(check: str, found: str) -> Finding:
    return Finding(check, Verdict.OK, found)


def note(check: str, found: str, mend: str = "") -> Finding:
    return Finding(check, Verdict.NOTE, found, mend)


def warn(check: str, found: str, mend: str) -> Finding:
    return Finding(check, Verdict.WARN, found, mend)


def bad(check: str, found: str, mend: str) -> Finding:
    return Finding(check, Verdict.BAD, found, mend)


Check = Callable[[Environ], Awaitable[list[Finding]]]
"""A family of checks. It reads the environment it is given, opens its own connections and closes them."""
