"""The door to Telegram: the only file that knows python-telegram-bot.

Sending needs no polling and no start-up: a message can go out while getUpdates fails, and the other way round.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from typing import Any

import httpx
import msgspec
import structlog
from telegram import (
    Bot,
    BotCommand,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    InputMediaPhoto,
    LinkPreviewOptions,
    Message,
    ReplyParameters,
    Update,
    error,
)
from telegram.constants import ChatAction, ParseMode
from telegram.ext import Application, ApplicationBuilder, ContextTypes, TypeHandler
from telegram.request import HTTPXRequest

from bot.delivery.messages import Ask, Buttons
from bot.errors import (
    Gone,
    MessageGone,
    Migrated,
    RateLimited,
    Rejected,
    TelegramError,
    TopicGone,
    Unanswered,
    Unreachable,
)
from tocsin.lifecycle import pause

log = structlog.get_logger("bot.telegram")  # the library's own logger is called telegram, and held at WARNING

Hear = Callable[[Ask], Awaitable[None]]
Notice = Callable[[int], None]
Moved = Callable[[int, int], Awaitable[None]]

TELEGRAM = "telegram"
"""The dependency's name among the breakers."""

POLL_SECONDS = 10
CALL_SECONDS = 5.0
SPARE_SECONDS = 5.0
"""How much longer than its longest silence a whole call may take: each byte begins the library's own wait anew."""
RETRY_SECONDS = 3.0
PUBLISH_SECONDS = 60.0
CONCURRENT_ASKS = 16
MOST_UPDATES = 100
"""In one answer; there may be more then. Source: core.telegram.org/bots/api#getupdates, limit."""
MOST_ANSWERS = 100
"""Whose updates may be waiting for their turn here."""

_UNREADABLE = (TypeError, KeyError, ValueError, AttributeError)
"""What the library raises when an answer is not what the Bot API promises."""
_CHAT_GONE = (
    *("chat not found", "peer_id_invalid", "user_is_blocked", "input_user_deactivated", "channel_private"),
    *("not enough rights", "have no rights", "need administrator rights", "have no write access"),
    *("chat_admin_required", "chat_write_forbidden", "chat_restricted", "chat_send_plain_forbidden"),
    *("chat_guest_send_forbidden", "user_banned_in_channel"),
)
"""What Telegram says of a chat or of our rights there, rather than of a message."""
_MESSAGE_GONE = ("message to edit not found", "message can't be edited", "message_id_invalid")
_TOPIC_GONE = ("message thread not found", "topic_closed", "topic_deleted", "topic_id_invalid")


@dataclass
class Polling:
    """What is known of getUpdates. Times by the monotonic clock. answered: called at every good answer.

    drained_at: when Telegram had nothing left that it had not given us; None = not known.
    """

    answered: Callable[[], None]
    answered_at: float | None = None
    conflict_at: float | None = None
    problem: str = ""
    drained_at: float | None = None
    _given: deque[tuple[int, float | None]] = field(default_factory=lambda: deque(maxlen=MOST_ANSWERS))
    """The last update of each answer, and drained_at before it: none of it is older."""

    def give(self, update_ids: Sequence[int], asked_at: float) -> None:
        """Telegram gave these when it was asked then."""
        if update_ids:
            self._given.append((max(update_ids), self.drained_at))
        if len(update_ids) < MOST_UPDATES:
            self.drained_at = asked_at

    def age_at_most(self, update_id: int) -> float:
        """For how many seconds an update may have waited at Telegram; infinite if nobody knows."""
        since = next((since for last, since in self._given if update_id <= last), None)
        return math.inf if since is None else time.monotonic() - since


class _Given(msgspec.Struct):
    update_id: int


class _GivenUpdates(msgspec.Struct):
    result: list[_Given]


class _Bounded(HTTPXRequest):
    """Ends each call, however slowly its answer drips, and lets no answer be the last.

    The library takes 401 and 404 as the word that our token is none, and ends its poll for good. It may as well be a
    proxy that restarts, or a token that comes back: it goes on with its pauses, as after any other failure.
    """

    async def do_request(self, *args: Any, **kwargs: Any) -> tuple[int, bytes]:
        silence = kwargs.get("read_timeout")
        whole = (silence if isinstance(silence, int | float) else CALL_SECONDS) + SPARE_SECONDS
        try:
            async with asyncio.timeout(whole):
                status, body = await super().do_request(*args, **kwargs)
        except TimeoutError as late:
            raise error.TimedOut(f"the call took more than {whole:g} s") from late
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND):
            raise error.NetworkError(f"{status}: our token is not known there")
        return status, body


class _Watched(_Bounded):
    """Notes when getUpdates was answered: python-telegram-bot reports failures only."""

    def __init__(self, polling: Polling, **options: Any) -> None:
        super().__init__(**options)
        self._polling = polling

    async def do_request(self, *args: Any, **kwargs: Any) -> tuple[int, bytes]:
        asked_at = time.monotonic()
        status, body = await super().do_request(*args, **kwargs)
        if status == 200:
            with suppress(msgspec.MsgspecError):  # the library says what is wrong with it
                given = msgspec.json.decode(body, type=_GivenUpdates).result
                self._polling.give([one.update_id for one in given], asked_at)
            self._polling.answered_at = time.monotonic()
            self._polling.problem = ""
            self._polling.answered()
        return status, body


class Telegram:
    """One bot account."""

    def __init__(self, token: str, api_base: str, answered: Callable[[], None]) -> None:
        self.polling = Polling(answered)
        self.username = ""
        self._ahead_seconds = 0.0
        """How far our clock is ahead of Telegram's, as the newest message that we sent says."""
        times: dict[str, Any] = {
            "read_timeout": CALL_SECONDS,
            "write_timeout": CALL_SECONDS,
            "connect_timeout": CALL_SECONDS,
            "pool_timeout": CALL_SECONDS,
        }
        self._application: Application[Any, Any, Any, Any, Any, Any] = (
            ApplicationBuilder()
            .token(token)
            .base_url(f"{api_base}/bot")
            .base_file_url(f"{api_base}/file/bot")
            .request(_Bounded(connection_pool_size=32, **times))
            .get_updates_request(_Watched(self.polling, connection_pool_size=2, **times))
            .job_queue(None)
            .concurrent_updates(CONCURRENT_ASKS)
            .build()
        )

    @property
    def _bot(self) -> Bot:
        return self._application.bot

    async def send(
        self,
        chat_id: int,
        text: str,
        *,
        topic_id: int | None = None,
        is_silent: bool = False,
        buttons: Buttons = (),
        reply_to: int | None = None,
        seconds: float = CALL_SECONDS,
    ) -> int:
        """Send a message; return its id. Raises TelegramError.

        reply_to: the message it answers; it is sent also if that is gone. seconds: how long its answer may take.
        """
        with _ours():
            message = await self._bot.send_message(
                chat_id,
                text,
                parse_mode=ParseMode.HTML,
                message_thread_id=topic_id,
                disable_notification=is_silent,
                reply_markup=_markup(buttons),
                reply_parameters=ReplyParameters(reply_to, allow_sending_without_reply=True) if reply_to else None,
                link_preview_options=LinkPreviewOptions(is_disabled=True),
                read_timeout=seconds,
            )
            self._ahead_seconds = time.time() - message.date.timestamp()
        return message.message_id

    async def edit(self, chat_id: int, message_id: int, text: str, *, buttons: Buttons = ()) -> None:
        """Replace a message's text; the same text again is no error. Raises TelegramError."""
        with _ours():
            try:
                await self._bot.edit_message_text(
                    text,
                    chat_id,
                    message_id,
                    parse_mode=ParseMode.HTML,
                    reply_markup=_markup(buttons),
                    link_preview_options=LinkPreviewOptions(is_disabled=True),
                )
            except error.BadRequest as refusal:
                if "message is not modified" not in refusal.message.lower():
                    raise

    async def send_picture(
        self,
        chat_id: int,
        picture: bytes,
        caption: str,
        *,
        topic_id: int | None = None,
        buttons: Buttons = (),
        reply_to: int | None = None,
    ) -> None:
        """Send a PNG as a photo, with text below it. Raises TelegramError."""
        with _ours():
            await self._bot.send_photo(
                chat_id,
                picture,
                caption,
                parse_mode=ParseMode.HTML,
                message_thread_id=topic_id,
                reply_markup=_markup(buttons),
                reply_parameters=ReplyParameters(reply_to, allow_sending_without_reply=True) if reply_to else None,
            )

    async def edit_picture(
        self, chat_id: int, message_id: int, picture: bytes, caption: str, *, buttons: Buttons = ()
    ) -> None:
        """Replace a message's picture and the text below it. Raises TelegramError."""
        media = InputMediaPhoto(picture, caption, parse_mode=ParseMode.HTML)
        with _ours():
            try:
                await self._bot.edit_message_media(media, chat_id, message_id, reply_markup=_markup(buttons))
            except error.BadRequest as refusal:
                if "message is not modified" not in refusal.message.lower():
                    raise

    async def answer_press(self, press_id: str, notice: str = "", *, is_alert: bool = False, start: str = "") -> None:
        """Stop the spinner on a pressed button; too late is no error. Raises TelegramError.

        is_alert: the notice has to be put away by hand. start: open the private chat with us instead, where a tap says
        `/start` and this word. Source: core.telegram.org/bots/api#answercallbackquery, url.
        """
        url = f"https://t.me/{self.username}?start={start}" if start else None
        with _ours():
            try:
                await self._bot.answer_callback_query(press_id, text=notice or None, show_alert=is_alert, url=url)
            except error.BadRequest as refusal:
                log.info("press_answered_late", error=refusal.message)

    async def me(self) -> str:
        """The bot's username; a cheap call that shows Telegram answers and knows our token. Raises TelegramError."""
        with _ours():
            return (await self._bot.get_me()).username or ""

    async def show_typing(self, chat_id: int) -> None:
        """Say for a moment that we write; a call that shows whether a chat takes what we say. Raises TelegramError."""
        with _ours():
            await self._bot.send_chat_action(chat_id, ChatAction.TYPING)

    async def is_member(self, chat_id: int, user_id: int) -> bool:
        """Whether a person is in a group now. Raises TelegramError."""
        with _ours():
            member = await self._bot.get_chat_member(chat_id, user_id)
        return member.status not in ("left", "kicked") and getattr(member, "is_member", True)

    async def set_commands(self, commands: Sequence[tuple[str, str]]) -> None:
        """Publish the list Telegram offers while one types. Raises TelegramError."""
        with _ours():
            await self._bot.set_my_commands([BotCommand(name, about) for name, about in commands])

    async def listen(
        self, hear: Hear, noticed: Notice, moved: Moved, commands: Sequence[tuple[str, str]], stop: asyncio.Event
    ) -> None:
        """Poll until stop; hand on every message and press. Asks in flight are let end.

        noticed: called with the chat of whatever happens, our own coming and going included. moved: with a group's old
        and new id.

        Telegram may be down when this begins: it tries until it answers. A failing poll is tried again by the library,
        with growing pauses.
        """

        async def on_update(update: Update, _context: ContextTypes.DEFAULT_TYPE) -> None:
            if update.effective_chat is not None:
                noticed(update.effective_chat.id)
            if update.message is not None and update.message.migrate_to_chat_id is not None:
                await moved(update.message.chat.id, update.message.migrate_to_chat_id)
            waited = self.polling.age_at_most(update.update_id)
            ask = to_ask(update, me=self._bot.id, now=time.time() - self._ahead_seconds, waited_seconds=waited)
            if ask is not None:
                await hear(ask)

        began = time.monotonic()
        if not self._application.handlers:  # asked again when our turn comes again
            self._application.add_handler(TypeHandler(Update, on_update))
        if not await self._begin(stop):
            return
        async with self._polled():
            log.info("polling", bot=self.username, after_seconds=round(time.monotonic() - began, 3))
            await self._publish(commands, stop)
            await stop.wait()

    async def _publish(self, commands: Sequence[tuple[str, str]], stop: asyncio.Event) -> None:
        """Publish the list of commands. Whatever keeps Telegram from taking it keeps nobody from being heard."""
        while not stop.is_set():
            try:
                await self.set_commands(commands)
                return
            except TelegramError as failure:
                waits = failure.retry_after if isinstance(failure, RateLimited) else PUBLISH_SECONDS
                log.warning("commands_not_published", error=_reason(failure), retry_seconds=waits)
            await pause(stop, waits)

    async def _begin(self, stop: asyncio.Event) -> bool:
        while not stop.is_set():
            try:
                with _ours():
                    await self._application.initialize()
                self.username = self._bot.username
                self.polling.drained_at = await self._drained_at()
                self.polling.answered_at, self.polling.problem = time.monotonic(), ""
                self.polling.answered()
                return True
            except TelegramError as failure:
                waits = failure.retry_after if isinstance(failure, RateLimited) else RETRY_SECONDS
                self.polling.problem = _reason(failure)
                log.warning("telegram_not_reached", error=_reason(failure), retry_seconds=waits)
            await pause(stop, waits)
        return False

    async def _drained_at(self) -> float | None:
        """Now, if nothing waits for us at Telegram; None if something does, or nobody knows."""
        asked_at = time.monotonic()
        try:
            with _ours():
                info = await self._bot.get_webhook_info()
        except TelegramError as failure:
            log.info("waiting_not_known", error=_reason(failure))
            return None
        return None if info.pending_update_count else asked_at

    @asynccontextmanager
    async def _polled(self) -> AsyncGenerator[None]:
        updater = self._application.updater
        if updater is None:
            raise RuntimeError("the application was built without an updater")
        await self._application.start()
        try:
            await updater.start_polling(
                timeout=timedelta(seconds=POLL_SECONDS),
                bootstrap_retries=-1,
                allowed_updates=[Update.MESSAGE, Update.CALLBACK_QUERY, Update.MY_CHAT_MEMBER],
                error_callback=self._poll_failed,
            )
            yield
        finally:
            if updater.running:
                await updater.stop()
            await self._application.stop()

    async def close(self) -> None:
        """Close the connections."""
        await self._application.shutdown()
        await self._bot.request.shutdown()  # what _begin never initialized, shutdown leaves open

    def _poll_failed(self, failure: error.TelegramError) -> None:
        self.polling.problem = _reason(failure)
        if isinstance(failure, error.Conflict) and "webhook" not in failure.message.lower():
            self.polling.conflict_at = time.monotonic()
            log.error("polling_conflict", mend="another process polls with this bot's token: stop one of the two")
            return
        log.warning("poll_failed", error=_reason(failure))


def _reason(failure: Exception) -> str:
    return f"{type(failure).__name__}: {failure}"[:200]


class _ours:  # reads as a statement: `with _ours():`
    """Turn the library's errors into ours."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, failure: BaseException | None, _trace: object) -> None:
        if isinstance(failure, error.TelegramError):
            raise _translate(failure) from failure
        if isinstance(failure, _UNREADABLE):
            raise Unanswered(f"Telegram's answer cannot be read ({type(failure).__name__})") from failure


def _translate(failure: error.TelegramError) -> TelegramError:
    match failure:
        case error.RetryAfter():
            pause_for = failure.retry_after
            return RateLimited(pause_for.total_seconds() if isinstance(pause_for, timedelta) else float(pause_for))
        case error.ChatMigrated():
            return Migrated(failure.new_chat_id)
        case error.Forbidden():
            return Gone(failure.message)
        case error.BadRequest():
            return _translate_refusal(failure.message)
        case _:  # NetworkError, TimedOut, Conflict
            return (Unanswered if _was_sent(failure) else Unreachable)(_reason(failure))


def _was_sent(failure: error.TelegramError) -> bool:
    """Whether a request may have reached Telegram although no answer came back."""
    cause = failure.__cause__
    never = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
    return isinstance(cause, httpx.TransportError | TimeoutError) and not isinstance(cause, never)


def _translate_refusal(message: str) -> TelegramError:
    lowered = message.lower()
    if any(words in lowered for words in _TOPIC_GONE):
        return TopicGone(message)
    if any(words in lowered for words in _MESSAGE_GONE):
        return MessageGone(message)
    if any(words in lowered for words in _CHAT_GONE):
        return Gone(message)
    return Rejected(message)


def _markup(buttons: Buttons) -> InlineKeyboardMarkup | None:
    if not buttons:
        return None
    return InlineKeyboardMarkup(
        [
            [
                InlineKeyboardButton(one.label, url=one.url)
                if one.url
                else InlineKeyboardButton(one.label, callback_data=one.data)
                for one in row
            ]
            for row in buttons
        ]
    )


def to_ask(update: Update, *, me: int, now: float, waited_seconds: float) -> Ask | None:
    """What a person said or pressed; None for what nobody said to us (joins, pins, channel posts).

    me: our own id: people answer one another too, and whatever is said in a forum's topic answers its first message.
    now: by Telegram's clock, seconds since 1970. waited_seconds: how long it may have waited for us: a press has no
    date of its own.

    A press on a message that Telegram no longer lets us see is answered all the same, with a new message.
    """
    query, message = update.callback_query, update.message
    if query is not None and query.data and query.message is not None:
        seen = query.message if isinstance(query.message, Message) and query.message.is_accessible else None
        return Ask(
            update_id=update.update_id,
            chat_id=query.message.chat.id,
            user_id=query.from_user.id,
            user_name=query.from_user.full_name,
            username=query.from_user.username or "",
            is_private=query.message.chat.type == "private",
            topic_id=_topic(seen) if seen else None,
            press=query.data,
            press_id=query.id,
            message_id=seen.message_id if seen else None,
            said_id=query.message.message_id,
            age_seconds=waited_seconds,
        )
    if message is not None and message.text and message.from_user is not None:
        answered = message.reply_to_message
        is_to_us = answered is not None and answered.from_user is not None and answered.from_user.id == me
        return Ask(
            update_id=update.update_id,
            chat_id=message.chat.id,
            user_id=message.from_user.id,
            user_name=message.from_user.full_name,
            username=message.from_user.username or "",
            is_private=message.chat.type == "private",
            text=message.text,
            topic_id=_topic(message),
            said_id=message.message_id,
            reply_to=answered.message_id if answered is not None and is_to_us else None,
            age_seconds=max(0.0, now - message.date.timestamp()),
            is_relayed=message.forward_origin is not None or message.via_bot is not None,
        )
    return None


def _topic(message: Message) -> int | None:
    return message.message_thread_id if message.is_topic_message else None
