"""What is sent to a chat, whoever sends it: text and buttons (pure)."""

from collections.abc import Iterable
from dataclasses import dataclass

from bot.incidents.machine import Person
from tocsin.roles import Role


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
    """An answer. text: Telegram's HTML. notice: a short line shown to whoever pressed a button.

    is_alert: the notice is bad news, and has to be put away by hand. is_new: a press is answered by a message of its
    own below the one that was pressed, which stays. picture: a PNG, whose caption the text is then. start: only for
    who pressed: it goes to their private chat; where the bot may not write there, `/start` with this word brings it.
    """

    text: str
    buttons: Buttons = ()
    notice: str = ""
    is_alert: bool = False
    is_new: bool = False
    picture: bytes = b""
    start: str = ""


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
    everything else is a group. said_id: the message that says it, or the one pressed; 0 = not known. reply_to: the
    message of ours that what was said answers. username: without the @; empty = none. age_seconds: how long ago it was
    said, or may have been pressed. is_relayed: forwarded, or made by another bot: not the words of who sent it.
    update_id: the same where Telegram tells it again.
    role: their own, wherever they ask; None = they have none, and are a viewer where they are admitted.
    """

    chat_id: int
    user_id: int
    is_private: bool
    user_name: str = ""
    username: str = ""
    text: str = ""
    topic_id: int | None = None
    press: str = ""
    press_id: str = ""
    message_id: int | None = None
    said_id: int = 0
    reply_to: int | None = None
    age_seconds: float = 0.0
    update_id: int = 0
    is_relayed: bool = False
    role: Role | None = None

    @property
    def who(self) -> Person:
        """The person, as those see it who are told what was done."""
        return Person(self.user_id, self.user_name, self.role or "")

    @property
    def may_act(self) -> bool:
        """Whether this person may change anything. Anonymous admins of a group are nobody."""
        return self.role is not None and self.role.covers(Role.OPERATOR)
