"""The sandbox itself: the world, its journal, and who must hear of a change."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from tocsin.sandbox.calls import CallLog
from tocsin.sandbox.chats import Chat, User
from tocsin.sandbox.faults import Faults
from tocsin.sandbox.feed import Event, Feed
from tocsin.sandbox.flood import FloodControl
from tocsin.sandbox.journal import Journal
from tocsin.sandbox.options import DEMO_CHAT_ID, SandboxOptions
from tocsin.sandbox.polling import Polling
from tocsin.sandbox.records import (
    AddUpdate,
    DropMessage,
    Message,
    PutChat,
    PutCommands,
    PutFile,
    PutMessage,
    PutUser,
    Record,
)
from tocsin.sandbox.state import World

Answer = dict[str, Any]
"""What answerCallbackQuery said: text, show_alert, url."""


class Sandbox:
    """Every change goes through `commit`. Not for threads: all callers share one event loop.

    clock: seconds since 1970. A first start lays out the demo's chat.
    """

    def __init__(self, options: SandboxOptions, *, clock: Callable[[], float] = time.time) -> None:
        self.options = options
        self.clock = clock
        self.feed = Feed()
        self.flood = FloodControl(options.limits)
        self.faults = Faults()
        self.calls = CallLog()
        self.polling = Polling()
        self.bot_id = int(options.token.partition(":")[0]) if options.token else 1
        self.answers: dict[str, asyncio.Future[Answer | None]] = {}
        self.closing = asyncio.Event()
        self._bytes: dict[str, bytes] = {}
        self.journal = Journal(options.data) if options.data else None
        # Without a journal, or where it was thrown away, the last id is unknown: begin where no run can have come to.
        self.world = World(first_update_id=int(clock()))
        for record in self.journal.replay() if self.journal else ():
            self.world.apply(record)
        if self.journal:
            self.journal.compact(self.world.snapshot())
        if not self.world.chats:
            self.commit(
                PutUser(User(id=DEMO_CHAT_ID, first_name=options.person_name, username="demo", language_code="en")),
                PutChat(Chat(id=DEMO_CHAT_ID, type="private")),
            )

    def commit(self, *records: Record) -> None:
        """Write changes down, make them, and tell who waits for them."""
        if self.journal:
            self.journal.append(records)
        for record in records:
            self.world.apply(record)
            if (event := self._event(record)) is not None:
                self.feed.publish(event)
        if any(isinstance(record, AddUpdate) for record in records):
            self.polling.end("update")
        if self.journal and self.journal.has_grown:
            self.journal.compact(self.world.snapshot())

    def update(self, update_type: str, body: dict[str, Any]) -> int | None:
        """Tell the bot something by getUpdates; None if it did not ask for such updates."""
        if not self.world.wants(update_type):
            return None
        update_id = self.world.next_update_id()
        self.commit(AddUpdate(update_id, update_type, body, self.clock()))
        return update_id

    @property
    def bot(self) -> User:
        """The bot's own account: of the accepted token, or of the token used last if any is accepted."""
        return User(id=self.bot_id, first_name=self.options.bot_name, username=self.options.bot_username, is_bot=True)

    def new_message(self, chat: Chat, sender: User) -> Message:
        """The frame of a message that is about to be committed: the next id, now, here, from this sender."""
        return {
            "message_id": self.world.next_message_id(chat),
            "from": sender.as_telegram(),
            "chat": self.world.describe(chat),
            "date": int(self.clock()),
        }

    def keep_file(self, name: str, media_type: str, content: bytes) -> PutFile:
        """Keep an uploaded file; its bytes go to the data folder, or stay in memory without one."""
        file_id = f"file{len(self.world.files) + 1:06d}"
        record = PutFile(file_id, name, media_type, len(content))
        if self.journal:
            (self.journal.files / file_id).write_bytes(content)
        else:
            self._bytes[file_id] = content
        self.commit(record)
        return record

    def read_file(self, file_id: str) -> bytes | None:
        if file_id not in self.world.files:
            return None
        if self.journal:
            return (self.journal.files / file_id).read_bytes()
        return self._bytes.get(file_id)

    def close(self) -> None:
        """Let everyone who waits go, and close the journal."""
        self.closing.set()
        self.polling.close()
        for answer in self.answers.values():
            if not answer.done():
                answer.set_result(None)
        if self.journal:
            self.journal.close()

    def _event(self, record: Record) -> Event | None:
        match record:
            case PutMessage(message):
                chat_id, message_id = message["chat"]["id"], message["message_id"]
                silent = (chat_id, message_id) in self.world.silent
                return {"type": "message", "chat_id": chat_id, "message": message, "silent": silent}
            case DropMessage(chat_id, message_id):
                return {"type": "deleted", "chat_id": chat_id, "message_id": message_id}
            case PutChat(chat):
                return {"type": "chat", "chat_id": chat.id}
            case PutCommands():
                return {"type": "commands"}
            case _:
                return None
