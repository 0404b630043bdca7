"""One bot account: what it sends, and how it listens."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import structlog
from telegram import (
    Bot,
    BotCommand,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    InputMediaPhoto,
    LinkPreviewOptions,
    ReplyParameters,
    Update,
    error,
)
from telegram.constants import ChatAction, ParseMode
from telegram.ext import Application, ApplicationBuilder, ContextTypes, TypeHandler

from bot.delivery.messages import Ask, Buttons
from bot.errors import RateLimited, TelegramError
from bot.telegram.asks import to_ask
from bot.telegram.polling import Polling
from bot.telegram.refusals import ours, reason
from bot.telegram.requests import CALL_SECONDS, Bounded, Watched
from tocsin.lifecycle import pause

log = structlog.get_logger("bot.telegram")  # the library's own logger is called telegram, and held at WARNING

Hear = Callable[[Ask], Awaitable[None]]
Notice = Callable[[int], None]
Moved = Callable[[int, int], Awaitable[None]]

TELEGRAM = "telegram"
"""The dependency's name among the breakers."""

POLL_SECONDS = 10
RETRY_SECONDS = 3.0
PUBLISH_SECONDS = 60.0
CONCURRENT_ASKS = 16


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
            .request(Bounded(connection_pool_size=32, **times))
            .get_updates_request(Watched(self.polling, connection_pool_size=2, **times))
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
        with ours():
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
        with ours():
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
        with ours():
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
        with ours():
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
        with ours():
            try:
                await self._bot.answer_callback_query(press_id, text=notice or None, show_alert=is_alert, url=url)
            except error.BadRequest as refusal:
                log.info("press_answered_late", error=refusal.message)

    async def me(self) -> str:
        """The bot's username; a cheap call that shows Telegram answers and knows our token. Raises TelegramError."""
        with ours():
            return (await self._bot.get_me()).username or ""

    async def show_typing(self, chat_id: int) -> None:
        """Say for a moment that we write; a call that shows whether a chat takes what we say. Raises TelegramError."""
        with ours():
            await self._bot.send_chat_action(chat_id, ChatAction.TYPING)

    async def is_member(self, chat_id: int, user_id: int) -> bool:
        """Whether a person is in a group now. Raises TelegramError."""
        with ours():
            member = await self._bot.get_chat_member(chat_id, user_id)
        return member.status not in ("left", "kicked") and getattr(member, "is_member", True)

    async def set_commands(self, commands: Sequence[tuple[str, str]]) -> None:
        """Publish the list Telegram offers while one types. Raises TelegramError."""
        with ours():
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
                log.warning("commands_not_published", error=reason(failure), retry_seconds=waits)
            await pause(stop, waits)

    async def _begin(self, stop: asyncio.Event) -> bool:
        while not stop.is_set():
            try:
                with ours():
                    await self._application.initialize()
                self.username = self._bot.username
                self.polling.drained_at = await self._drained_at()
                self.polling.answered_at, self.polling.problem = time.monotonic(), ""
                self.polling.answered()
                return True
            except TelegramError as failure:
                waits = failure.retry_after if isinstance(failure, RateLimited) else RETRY_SECONDS
                self.polling.problem = reason(failure)
                log.warning("telegram_not_reached", error=reason(failure), retry_seconds=waits)
            await pause(stop, waits)
        return False

    async def _drained_at(self) -> float | None:
        """Now, if nothing waits for us at Telegram; None if something does, or nobody knows."""
        asked_at = time.monotonic()
        try:
            with ours():
                info = await self._bot.get_webhook_info()
        except TelegramError as failure:
            log.info("waiting_not_known", error=reason(failure))
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
        self.polling.problem = reason(failure)
        if isinstance(failure, error.Conflict) and "webhook" not in failure.message.lower():
            self.polling.conflict_at = time.monotonic()
            log.error("polling_conflict", mend="another process polls with this bot's token: stop one of the two")
            return
        log.warning("poll_failed", error=reason(failure))


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
