"""What people's side of the sandbox can be asked for: the bodies of POST /sandbox/messages, callbacks and chats."""

from msgspec import Struct

from tocsin.sandbox.chats import MemberStatus, Topic


class Say(Struct, forbid_unknown_fields=True):
    """Someone writes. is_anonymous: as an administrator in the group's name.

    forwarded_from: they forward what that person wrote. seconds_ago: they wrote it then; only now it is delivered.
    """

    chat_id: int
    user_id: int
    text: str
    message_thread_id: int | None = None
    reply_to_message_id: int | None = None
    is_anonymous: bool = False
    forwarded_from: int | None = None
    seconds_ago: float = 0.0


class Press(Struct, forbid_unknown_fields=True):
    """Someone presses a button. is_stale: a button that an edit has taken away meanwhile may be pressed too."""

    chat_id: int
    user_id: int
    message_id: int
    data: str
    wait_seconds: float = 10.0
    is_stale: bool = False


class Member(Struct, forbid_unknown_fields=True):
    """Someone in a group; the names matter only for a person not known yet."""

    user_id: int
    status: MemberStatus = "member"
    first_name: str | None = None
    username: str | None = None


class ChatChange(Struct, forbid_unknown_fields=True):
    """A chat to make, or what to change in one; None leaves a thing as it is.

    The id decides the type: above 0 private, at and below -1000000000000 a supergroup, else a basic group. bot_status
    `kicked` in a private chat: the person blocks the bot. migrated_to: the basic group becomes that supergroup.
    """

    id: int
    title: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    username: str | None = None
    is_forum: bool | None = None
    topics: list[Topic] | None = None
    members: list[Member] | None = None
    bot_status: MemberStatus | None = None
    migrated_to: int | None = None
