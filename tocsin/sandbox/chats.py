"""People and chats, and how Telegram writes them in its objects."""

from typing import Any, Literal

from msgspec import Struct, field

ChatType = Literal["private", "group", "supergroup"]
MemberStatus = Literal["creator", "administrator", "member", "left", "kicked"]

ANONYMOUS_ADMIN_ID = 1087968824
"""The account Telegram shows in `from` when a group's administrator writes in the group's name."""


_RIGHTS = (
    "can_manage_chat",
    "can_delete_messages",
    "can_manage_video_chats",
    "can_restrict_members",
    "can_promote_members",
    "can_change_info",
    "can_invite_users",
    "can_post_stories",
    "can_edit_stories",
    "can_delete_stories",
    "can_pin_messages",
    "can_manage_topics",
)


class User(Struct, omit_defaults=True):
    """A person, or the bot. Chat id and user id of a private chat are the same number."""

    id: int
    first_name: str
    is_bot: bool = False
    last_name: str | None = None
    username: str | None = None
    language_code: str | None = None

    def as_telegram(self) -> dict[str, Any]:
        optional = {"last_name": self.last_name, "username": self.username, "language_code": self.language_code}
        plain = {"id": self.id, "is_bot": self.is_bot, "first_name": self.first_name}
        return plain | {name: value for name, value in optional.items() if value is not None}


class Topic(Struct, omit_defaults=True):
    """A forum topic; its id is the message_thread_id. "General" has none and is not listed."""

    id: int
    name: str
    is_closed: bool = False


class Chat(Struct, omit_defaults=True):
    """A chat. bot_status `kicked` means, in a private chat, that the person blocked the bot."""

    id: int
    type: ChatType
    title: str = ""
    username: str | None = None
    is_forum: bool = False
    topics: dict[int, Topic] = field(default_factory=dict[int, Topic])
    members: dict[int, MemberStatus] = field(default_factory=dict[int, MemberStatus])
    bot_status: MemberStatus = "member"
    migrated_to: int | None = None

    def as_telegram(self, person: User | None = None) -> dict[str, Any]:
        """The Chat object. person: who is on the other side of a private chat."""
        body: dict[str, Any] = {"id": self.id, "type": self.type}
        if self.type == "private" and person is not None:
            names = {"first_name": person.first_name, "last_name": person.last_name, "username": person.username}
            return body | {name: value for name, value in names.items() if value is not None}
        body["title"] = self.title
        if self.username:
            body["username"] = self.username
        return body | ({"is_forum": True} if self.is_forum else {})


def member(user: User, status: MemberStatus) -> dict[str, Any]:
    """A ChatMember object."""
    body: dict[str, Any] = {"user": user.as_telegram(), "status": status}
    match status:
        case "creator":
            return body | {"is_anonymous": False}
        case "administrator":
            return body | {"can_be_edited": False, "is_anonymous": False} | dict.fromkeys(_RIGHTS, True)
        case "kicked":
            return body | {"until_date": 0}
        case "member" | "left":
            return body
