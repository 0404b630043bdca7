"""What is sent to a chat, whoever sends it: text and buttons (pure)."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Button:
    """A button under a message: it opens url, or presses data (1 to 64 bytes, Telegram's limit)."""

    label: str
    data: str = ""
    url: str = ""


Buttons = tuple[tuple[Button, ...], ...]
"""Rows of buttons, top to bottom."""


@dataclass(frozen=True)
class Reply:
    """An answer. text: Telegram's HTML. notice: a short line shown to whoever pressed a button."""

    text: str
    buttons: Buttons = ()
    notice: str = ""


def as_json(buttons: Buttons) -> list[list[dict[str, str]]]:
    """Buttons for storage."""
    return [[{"label": one.label, "data": one.data, "url": one.url} for one in row] for row in buttons]


def from_json(rows: Iterable[Iterable[dict[str, str]]]) -> Buttons:
    """Buttons from storage."""
    return tuple(tuple(Button(**one) for one in row) for row in rows)


@dataclass(frozen=True)
class Ask:
    """What a person said (text) or pressed.

    press: a button's data, with press_id to answer it and message_id to edit. is_private: a chat with one person;
    everything else is a group.
    """

    chat_id: int
    user_id: int
    is_private: bool
    text: str = ""
    topic_id: int | None = None
    press: str = ""
    press_id: str = ""
    message_id: int | None = None
