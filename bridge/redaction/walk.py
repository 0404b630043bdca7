"""JSON by its structure: what stands under secret names is hidden at any depth, in JSON inside strings too. Pure."""

import re
from typing import Any, cast

from bridge.jsontext import NotJson, parse, write
from bridge.redaction import embedded, values
from bridge.redaction.embedded import Budget
from bridge.redaction.names import HIDDEN, SECRET_NAMES, names_other, names_secret

_NAMING, _NAMED = frozenset({"name", "key", "header", "field", "k"}), frozenset({"value", "values", "val", "v"})
"""Members of an object that is itself a name and its value."""
_MAY_HOLD_MORE = re.compile("[\\[{\"'`]")


def hide(text: str, characters: int) -> tuple[str, bool]:
    """A text without what stands under secret names in JSON, and whether it was cut.

    characters: about how many of it will be kept. JSON in which nothing is hidden stays as it was written, to the
    letter, and is not cut.
    """
    return _hide(text, characters, Budget.of(text[:characters]))


def _hide(text: str, characters: int, budget: Budget) -> tuple[str, bool]:
    """A text that is JSON, or holds some."""
    if text.lstrip()[:1] in ("{", "[", '"'):
        walk = _Walk(characters, budget)
        try:
            parsed = parse(text)
            hidden = walk.hide(parsed)
            return (text if hidden is parsed else write(hidden)), walk.is_cut
        except (NotJson, RecursionError):
            pass
    looked_at = text[:characters]

    def hide_value(value: Any) -> Any:
        return _Walk(4 * len(looked_at), budget).hide(value)  # more than there is, as it counts

    return embedded.replace(looked_at, hide_value, budget), len(looked_at) < len(text)


class _Walk:
    """Goes through parsed JSON as far as it will be kept. left: characters still wanted; at 0 the rest is dropped."""

    def __init__(self, characters: int, budget: Budget) -> None:
        self.left = characters
        self.budget = budget
        self.is_cut = False

    def hide(self, value: Any) -> Any:
        """The value without what stands under secret names: itself if there was nothing to hide."""
        if isinstance(value, dict):
            return self._hide_members(cast(dict[str, Any], value))
        if isinstance(value, list):
            return self._hide_items(cast(list[Any], value))
        if isinstance(value, str):
            self.left -= len(value)
            return value if _MAY_HOLD_MORE.search(value) is None else self._hide_inside(value)
        self.left -= 4
        return value

    def _hide_members(self, members: dict[str, Any]) -> dict[str, Any]:
        kept: dict[str, Any] = {}
        is_pair = any(names_secret(members[name]) for name in members if name.lower() in _NAMING)
        for name, inner in members.items():
            if self._is_done():
                break
            self.left -= len(name)
            is_secret = SECRET_NAMES.search(name) or (is_pair and name.lower() in _NAMED)
            kept[name] = HIDDEN if inner and is_secret else self.hide(inner)
        same = len(kept) == len(members) and all(kept[name] is inner for name, inner in members.items())
        return members if same else kept

    def _hide_items(self, items: list[Any]) -> list[Any]:
        kept: list[Any] = []
        before: Any = None
        for inner in items:
            if self._is_done():
                break
            is_value = inner and isinstance(inner, str) and not names_other(inner)
            is_secret = is_value and names_secret(before)  # ["Cookie", "sid=…"]
            kept.append(HIDDEN if is_secret else self.hide(inner))
            before = inner
        same = len(kept) == len(items) and all(mine is its for mine, its in zip(kept, items, strict=True))
        return items if same else kept

    def _hide_inside(self, value: str) -> str:
        """JSON inside a string, or what looks like it. Its characters are counted already."""
        shown, is_cut = _hide(value, max(0, self.left + len(value)), self.budget)
        self.is_cut |= is_cut
        return values.hide(shown)

    def _is_done(self) -> bool:
        self.is_cut |= self.left <= 0
        return self.is_cut
