"""What can happen in the sandbox's world: one record per change, kept in the journal as one JSON line each."""

from typing import Any

from msgspec import Struct

from tocsin.sandbox.chats import Chat, User

Message = dict[str, Any]
"""A Telegram Message object, as the Bot API sends it."""


class PutUser(Struct, tag="user", tag_field="kind"):
    """A person appeared or changed."""

    user: User


class PutChat(Struct, tag="chat", tag_field="kind"):
    """A chat appeared or changed."""

    chat: Chat


class PutMessage(Struct, tag="message", tag_field="kind", omit_defaults=True):
    """A message was sent (a new id) or edited (a known one). silent: sent with disable_notification."""

    message: Message
    silent: bool = False


class DropMessage(Struct, tag="deleted", tag_field="kind"):
    """A message was deleted. Its id is not given again."""

    chat_id: int
    message_id: int


class AddUpdate(Struct, tag="update", tag_field="kind"):
    """Something the bot is to be told by getUpdates. at: seconds since 1970."""

    update_id: int
    type: str
    body: dict[str, Any]
    at: float


class ConfirmUpdates(Struct, tag="confirmed", tag_field="kind"):
    """The bot has seen all updates below this id."""

    below: int


class AllowUpdates(Struct, tag="allowed", tag_field="kind"):
    """Which types of updates the bot asked for; empty = Telegram's default."""

    types: list[str]


class PutCommands(Struct, tag="commands", tag_field="kind"):
    """The bot's command list for one scope and language; empty = deleted."""

    scope: str
    commands: list[dict[str, str]]


class PutWebhook(Struct, tag="webhook", tag_field="kind"):
    """The webhook that was set; an empty url = none."""

    info: dict[str, Any]


class AddQuery(Struct, tag="query", tag_field="kind"):
    """Someone pressed a button and waits for answerCallbackQuery."""

    query_id: str
    at: float


class DropQuery(Struct, tag="answered", tag_field="kind"):
    """A button press was answered."""

    query_id: str


class PutFile(Struct, tag="file", tag_field="kind"):
    """A file was uploaded; its bytes are kept beside the journal."""

    file_id: str
    name: str
    media_type: str
    size: int


class Counters(Struct, tag="counters", tag_field="kind"):
    """Ids given so far, so that those of deleted messages and confirmed updates are not given again."""

    message_ids: dict[int, int]
    update_id: int
    query_id: int


Record = (
    PutUser
    | PutChat
    | PutMessage
    | DropMessage
    | AddUpdate
    | ConfirmUpdates
    | AllowUpdates
    | PutCommands
    | PutWebhook
    | AddQuery
    | DropQuery
    | PutFile
    | Counters
)
