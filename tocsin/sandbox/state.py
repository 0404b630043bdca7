"""The sandbox's world: chats, messages, updates. Pure: it changes only by records, and the same records rebuild it."""

from collections.abc import Iterator
from typing import Any

from tocsin.sandbox.chats import Chat, User
from tocsin.sandbox.records import (
    AddQuery,
    AddUpdate,
    AllowUpdates,
    ConfirmUpdates,
    Counters,
    DropMessage,
    DropQuery,
    Message,
    PutChat,
    PutCommands,
    PutFile,
    PutMessage,
    PutUser,
    PutWebhook,
    Record,
)

KEPT_MESSAGES = 10_000
"""Per chat; beyond it the oldest are forgotten, as if deleted."""
KEPT_UPDATES = 100_000
UPDATE_LIFETIME_SECONDS = 24 * 3600.0
"""Telegram keeps an update no longer. Source: https://core.telegram.org/bots/api#getting-updates."""

NOT_BY_DEFAULT = frozenset({"chat_member", "message_reaction", "message_reaction_count"})


class World:
    """Everything the sandbox remembers.

    first_update_id: where update ids begin. It must be higher after a restart that forgot the last one, or a bot that
    went on polling with its old offset would confirm new updates unseen, and one that remembers what it has done would
    skip them.
    """

    def __init__(self, first_update_id: int = 1) -> None:
        self.users: dict[int, User] = {}
        self.chats: dict[int, Chat] = {}
        self.messages: dict[int, dict[int, Message]] = {}
        self.silent: set[tuple[int, int]] = set()
        self.updates: dict[int, AddUpdate] = {}
        self.allowed: list[str] = []
        self.commands: dict[str, list[dict[str, str]]] = {}
        self.webhook: dict[str, Any] = {}
        self.queries: dict[str, float] = {}
        self.files: dict[str, PutFile] = {}
        self._message_ids: dict[int, int] = {}
        self._update_id = first_update_id - 1
        self._query_id = 0

    def apply(self, record: Record) -> None:
        """Make a change. A record about something already gone changes nothing."""
        match record:
            case PutUser(user):
                self.users[user.id] = user
            case PutChat(chat):
                self.chats[chat.id] = chat
                self.messages.setdefault(chat.id, {})
            case PutMessage(message, silent):
                self._put_message(message, silent)
            case DropMessage(chat_id, message_id):
                self.messages.get(chat_id, {}).pop(message_id, None)
                self.silent.discard((chat_id, message_id))
            case AddUpdate(update_id):
                self.updates[update_id] = record
                self._update_id = max(self._update_id, update_id)
                while len(self.updates) > KEPT_UPDATES:
                    del self.updates[next(iter(self.updates))]
            case ConfirmUpdates(below):
                for update_id in [known for known in self.updates if known < below]:
                    del self.updates[update_id]
            case AllowUpdates(types):
                self.allowed = types
            case PutCommands(scope, commands):
                self.commands[scope] = commands
            case PutWebhook(info):
                self.webhook = info
            case AddQuery(query_id, at):
                self.queries[query_id] = at
                self._query_id = max(self._query_id, int(query_id))
            case DropQuery(query_id):
                self.queries.pop(query_id, None)
            case PutFile(file_id):
                self.files[file_id] = record
            case Counters(message_ids, update_id, query_id):
                self._message_ids.update(message_ids)
                self._update_id = max(self._update_id, update_id)
                self._query_id = max(self._query_id, query_id)

    def snapshot(self) -> Iterator[Record]:
        """The fewest records that rebuild this world."""
        yield Counters(dict(self._message_ids), self._update_id, self._query_id)
        yield from (PutUser(user) for user in self.users.values())
        yield from (PutChat(chat) for chat in self.chats.values())
        for chat_id, messages in self.messages.items():
            for message_id, message in messages.items():
                yield PutMessage(message, (chat_id, message_id) in self.silent)
        yield from self.updates.values()
        yield AllowUpdates(self.allowed)
        yield from (PutCommands(scope, commands) for scope, commands in self.commands.items())
        yield PutWebhook(self.webhook)
        yield from (AddQuery(query_id, at) for query_id, at in self.queries.items())
        yield from self.files.values()

    def next_message_id(self, chat: Chat) -> int:
        """Ids run per supergroup; private chats and basic groups share one row of numbers, as at Telegram."""
        return self._message_ids.get(_id_row(chat), 0) + 1

    def next_update_id(self) -> int:
        return self._update_id + 1

    def next_query_id(self) -> str:
        return str(self._query_id + 1)

    def wants(self, update_type: str) -> bool:
        """Whether the bot asked to be told of updates of this type."""
        return update_type in self.allowed if self.allowed else update_type not in NOT_BY_DEFAULT

    def pending(self, offset: int, limit: int, now: float) -> list[AddUpdate]:
        """Updates from this offset on that Telegram would still have; a negative offset counts from the end."""
        fresh = [each for each in self.updates.values() if now - each.at < UPDATE_LIFETIME_SECONDS]
        wanted = fresh[offset:] if offset < 0 else [each for each in fresh if each.update_id >= offset]
        return wanted[:limit]

    def person(self, chat: Chat) -> User | None:
        """Who is on the other side of a private chat."""
        return self.users.get(chat.id) if chat.type == "private" else None

    def describe(self, chat: Chat) -> dict[str, Any]:
        """The chat as a Telegram Chat object."""
        return chat.as_telegram(self.person(chat))

    def _put_message(self, message: Message, silent: bool) -> None:
        chat_id, message_id = message["chat"]["id"], message["message_id"]
        messages = self.messages.setdefault(chat_id, {})
        if message_id not in messages and silent:
            self.silent.add((chat_id, message_id))
        messages[message_id] = message
        row = _id_row(self.chats[chat_id])
        self._message_ids[row] = max(self._message_ids.get(row, 0), message_id)
        while len(messages) > KEPT_MESSAGES:
            oldest = next(iter(messages))
            del messages[oldest]
            self.silent.discard((chat_id, oldest))


def _id_row(chat: Chat) -> int:
    return chat.id if chat.type == "supergroup" else 0
