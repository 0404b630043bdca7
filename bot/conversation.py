"""Hear people, let the right command answer, send the answer back."""

import time
from dataclasses import dataclass, field, replace

import structlog

from bot import texts
from bot.commands import ACTS, ANYWHERE, CHANGES, COMMANDS, PRESSES
from bot.delivery.messages import Ask, Buttons, Reply
from bot.delivery.pacing import Pacer
from bot.desk import Command, Desk, Pressable
from bot.errors import Gone, RateLimited, Rejected, TelegramError, Unreachable
from bot.metrics import Metrics
from bot.people.access import Access, Gate
from bot.people.seal import Expired, Forged
from bot.render.alert import kind
from bot.render.markup import name, plain, strip_markup
from bot.render.times import age, many
from bot.store.updates import is_news
from bot.telegram import TELEGRAM, Telegram
from tocsin.breakers import Breakers, Unavailable
from tocsin.roles import Role

log = structlog.get_logger("conversation")

REPLY_SECONDS = 5.0
NEWS_SECONDS = 1.0
FRESH_SECONDS = 120.0
"""What was said, or may have been pressed, longer ago changes nothing: Telegram keeps it for a day while no bot
listens."""
MOST_TOLD = 1000


@dataclass(frozen=True)
class Said:
    """A command as typed: `/queue@tocsin_bot a b` is queue, tocsin_bot, `a b`."""

    command: str
    addressee: str
    rest: str


def parse_command(text: str) -> Said | None:
    """Read a command; None if the text is none."""
    if not text.startswith("/"):
        return None
    head, _, rest = text[1:].replace("\n", " ").partition(" ")
    command, _, addressee = head.partition("@")
    return Said(command.lower(), addressee, rest.strip()) if command else None


@dataclass
class Conversation:
    """One for the process; asks run beside one another."""

    telegram: Telegram
    gate: Gate
    desk: Desk
    breakers: Breakers
    pacer: Pacer
    metrics: Metrics
    _commands: dict[str, Command] = field(default_factory=lambda: {one.name: one for one in COMMANDS})
    _presses: dict[str, Pressable] = field(default_factory=lambda: {one.name: one for one in PRESSES})
    _told_away: set[tuple[int, int]] = field(default_factory=set[tuple[int, int]])
    _acts: dict[str, Pressable] = field(default_factory=lambda: {one.name: one for one in ACTS})

    async def hear(self, ask: Ask) -> None:
        """Answer one ask, or not. Never raises: the next ask must be heard."""
        began = time.monotonic()
        ask = replace(ask, role=self.gate.people.role_of(ask.user_id))
        try:
            reply = await self._press(ask) if ask.press else await self._say(ask)
            if reply is not None:
                took = time.monotonic() - began
                self.metrics.answer_seconds.observe(took)
                log.info("answering", chat=ask.chat_id, to=ask.said_id, seconds=round(took, 3))
                await self._answer(ask, reply)
        except Exception as error:  # whatever a command does wrong, people are told and the bot goes on
            self.metrics.errors.labels("process", type(error).__name__).inc()
            log.error("ask_failed", error=type(error).__name__, exc_info=error)
            await self._answer(ask, Reply(texts.WENT_WRONG, notice=texts.WENT_WRONG))

    async def _say(self, ask: Ask) -> Reply | None:
        said = parse_command(ask.text)
        if said is None and not ask.is_private and ask.reply_to is None:
            return None
        if said is not None and said.addressee and said.addressee.lower() != self.telegram.username.lower():
            return None
        access = await self.gate.admit(ask)
        if ask.is_private or access is Access.ALLOWED:
            self.gate.people.saw(ask)
        may_be_anywhere = said is not None and said.command in ANYWHERE
        if access is Access.IGNORED or (access is Access.LOST and not may_be_anywhere):
            return None
        if access is Access.STRANGER:
            self.metrics.asks.labels("stranger").inc()
            return Reply(texts.STRANGER.format(user_id=ask.user_id))
        if ask.is_relayed:
            return Reply(texts.NOT_YOUR_WORDS) if ask.is_private else None
        if said is None and ask.reply_to is not None:
            noted = await self._note(ask, ask.reply_to)
            if noted is not None or not ask.is_private:
                return noted
        command = self._commands.get(said.command) if said else None
        if said is None or command is None:
            return Reply(texts.NO_SUCH_COMMAND) if ask.is_private or (said and said.addressee) else None
        self.metrics.asks.labels(command.name).inc()
        if not _may(ask, command):
            return _refusal(ask, command)
        if command.name in CHANGES and ask.age_seconds > FRESH_SECONDS:
            return Reply(texts.SAID_LONG_AGO.format(command=command.name, age=age(ask.age_seconds)))
        if command.name in CHANGES and not await self._is_news(ask):
            # Perhaps it was done and answered, perhaps we were killed before: that is not known.
            log.info("told_twice", chat=ask.chat_id, update=ask.update_id)
            return Reply(texts.TOLD_TWICE.format(command=command.name))
        return await command.answer(ask, said.rest, self.desk)

    async def _is_news(self, ask: Ask) -> bool:
        """Whether no bot has heard this before, as far as Postgres says; without it, nothing can be changed anyway."""
        try:
            async with self.desk.database.transaction(timeout=NEWS_SECONDS) as session:
                return await is_news(session, ask.update_id)
        except Unavailable:
            return True

    async def _note(self, ask: Ask, message_id: int) -> Reply | None:
        """Keep what somebody wrote in reply to an incident's or a storm's message; None if it is about neither."""
        try:
            if not ask.may_act and not ask.is_private:
                return None  # people talk below an alert, and not to us
            if not ask.may_act:
                about = await self.desk.handling.about(ask.chat_id, message_id)
                return None if about is None else Reply(texts.NOT_YOURS)
            noted = await self.desk.handling.note(ask.chat_id, message_id, ask.who, ask.text, update_id=ask.update_id)
        except Unavailable:
            return Reply(texts.POSTGRES_AWAY)
        if not noted:
            return None
        self.metrics.asks.labels("note").inc()
        one = noted[0]
        about = (
            f"{name(one.key.queue or one.key.source)} · {kind(one)}"
            if len(noted) == 1
            else many(len(noted), "incident")
        )
        return Reply(texts.NOTED.format(about=about))

    async def _press(self, ask: Ask) -> Reply | None:
        if await self.gate.admit(ask) is not Access.ALLOWED:
            return Reply("", notice=texts.NOT_FOR_YOU, is_alert=True)
        which, _, rest = ask.press.partition(":")
        if which in self._acts:
            return await self._act(ask, self._acts[which])
        command = self._presses.get(which)
        if command is None:
            return Reply("", notice=texts.OLD_BUTTON)
        self.metrics.asks.labels(command.name).inc()
        if not _may(ask, command):
            return Reply("", notice=_refusal(ask, command).text, is_alert=True)
        return await command.press(ask, rest, self.desk)

    async def _act(self, ask: Ask, command: Pressable) -> Reply:
        """Let a button change something, if we made it and this person may."""
        if not ask.may_act:
            return Reply("", notice=texts.NOT_YOURS, is_alert=True)
        if ask.age_seconds > FRESH_SECONDS:
            return self._pressed_away(ask)
        try:
            _, _, rest = self.desk.seal.open(ask.press).partition(":")
        except Expired:
            return Reply("", notice=texts.EXPIRED_BUTTON, is_alert=True)
        except Forged:
            log.warning("forged_button", chat=ask.chat_id, user=ask.user_id, data=name(ask.press, 80))
            return Reply("", notice=texts.FORGED_BUTTON, is_alert=True)
        self.metrics.asks.labels(command.name).inc()
        try:
            return await command.press(ask, rest, self.desk)
        except Unavailable:
            return Reply("", notice=texts.POSTGRES_AWAY, is_alert=True)

    def _pressed_away(self, ask: Ask) -> Reply:
        """Say so once below each message: the notice may come too late to be shown, and people tap what is silent."""
        log.info("pressed_long_ago", chat=ask.chat_id, user=ask.user_id)
        text, place = texts.PRESSED_LONG_AGO.format(name=name(ask.user_name, 40)), (ask.chat_id, ask.said_id)
        is_told = place in self._told_away
        if len(self._told_away) >= MOST_TOLD:
            self._told_away.clear()
        self._told_away.add(place)
        return Reply("" if is_told else text, notice=text, is_alert=True, is_new=True)

    async def _answer(self, ask: Ask, reply: Reply) -> None:
        speak = self._whisper if reply.start and not ask.is_private else self._speak
        try:
            async with self.breakers.guard(TELEGRAM, timeout=REPLY_SECONDS, errors_that_count=(Unreachable,)):
                await speak(ask, reply)
        except RateLimited as limited:
            self.pacer.freeze(ask.chat_id, limited.retry_after, time.monotonic())
            log.warning("answer_rate_limited", chat=ask.chat_id, seconds=limited.retry_after)
        except (TelegramError, Unavailable) as failure:
            log.warning("answer_not_sent", chat=ask.chat_id, error=name(str(failure), 200))

    async def _speak(self, ask: Ask, reply: Reply) -> None:
        frozen = self.pacer.frozen(time.monotonic()).get(ask.chat_id)
        if ask.press_id:
            notice = reply.notice if frozen is None else texts.MUST_BE_SILENT.format(age=age(frozen))
            await self.telegram.answer_press(ask.press_id, plain(notice)[:190], is_alert=reply.is_alert)
        if frozen is not None and reply.text:
            log.warning("answer_withheld", chat=ask.chat_id, seconds=round(frozen))
            return
        if not reply.text:
            return
        self.pacer.answer(ask.chat_id, time.monotonic())
        try:
            if reply.picture:
                await self._picture(ask, reply)
            else:
                await self._show(ask, reply.text, reply.buttons, is_new=reply.is_new)
        except Rejected as refusal:
            log.warning("answer_refused", chat=ask.chat_id, error=name(str(refusal), 200))
            await self._show(ask, strip_markup(reply.text), (), is_new=reply.is_new or bool(reply.picture))
        except Gone as refusal:
            if not reply.picture:
                raise
            log.warning("picture_refused", chat=ask.chat_id, error=name(str(refusal), 200))
            await self._show(ask, reply.text, (), is_new=True)  # a group may take texts and no pictures

    async def _whisper(self, ask: Ask, reply: Reply) -> None:
        """Tell only who pressed, in their private chat; lead them there if they have never said a word to us."""
        frozen = self.pacer.frozen(time.monotonic()).get(ask.user_id)
        if frozen is not None:
            notice = texts.MUST_BE_SILENT.format(age=age(frozen))
            await self.telegram.answer_press(ask.press_id, notice, is_alert=True)
            return
        self.pacer.answer(ask.user_id, time.monotonic())
        try:
            await self.telegram.send(ask.user_id, reply.text, buttons=reply.buttons)
        except Gone:
            await self.telegram.answer_press(ask.press_id, texts.START_FIRST, start=reply.start)
        except RateLimited as limited:
            self.pacer.freeze(ask.user_id, limited.retry_after, time.monotonic())
            notice = texts.MUST_BE_SILENT.format(age=age(limited.retry_after))
            await self.telegram.answer_press(ask.press_id, notice, is_alert=True)
        else:
            await self.telegram.answer_press(ask.press_id, plain(reply.notice)[:190], is_alert=reply.is_alert)

    async def _picture(self, ask: Ask, reply: Reply) -> None:
        if ask.message_id is not None and not reply.is_new:
            await self.telegram.edit_picture(
                ask.chat_id, ask.message_id, reply.picture, reply.text, buttons=reply.buttons
            )
            return
        await self.telegram.send_picture(
            ask.chat_id,
            reply.picture,
            reply.text,
            topic_id=ask.topic_id,
            buttons=reply.buttons,
            reply_to=ask.message_id,
        )

    async def _show(self, ask: Ask, text: str, buttons: Buttons, *, is_new: bool) -> None:
        if ask.message_id is not None and is_new:
            await self.telegram.send(ask.chat_id, text, topic_id=ask.topic_id, buttons=buttons, reply_to=ask.message_id)
        elif ask.message_id is not None:
            await self.telegram.edit(ask.chat_id, ask.message_id, text, buttons=buttons)
        else:
            await self.telegram.send(ask.chat_id, text, topic_id=ask.topic_id, buttons=buttons)


def _may(ask: Ask, command: Command | Pressable) -> bool:
    return (ask.role or Role.VIEWER).covers(command.needs)


def _refusal(ask: Ask, command: Command | Pressable) -> Reply:
    mine = ask.role or Role.VIEWER
    return Reply(texts.NOT_YOUR_ROLE.format(needed=command.needs.value, role=mine.value))
