"""Filters that are sets of values, as history and the live stream take them: pure."""

from collections.abc import Sequence

from logsvc.errors import BadRequest

MOST_VALUES = 200
LONGEST_TEXT = 1000

CLOSED = frozenset({"state", "level", "kind"})
"""Sets of our own words, where commas part values. Names may hold commas and spaces, and are taken as they are."""


def values(name: str, given: Sequence[str] | None) -> list[str]:
    """The values of one filter; none for an empty one. Raises BadRequest if they are too many or too long."""
    found = [value for value in given or () if value]
    if name in CLOSED:
        found = [part.strip() for value in found for part in value.split(",") if part.strip()]
    if len(found) > MOST_VALUES or any(len(value) > LONGEST_TEXT for value in found):
        raise BadRequest(f"{name}: at most {MOST_VALUES} values of {LONGEST_TEXT} characters each")
    return found
