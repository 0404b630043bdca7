"""What can go wrong in the bot, named by what the caller does about it."""

from tocsin.breakers import Unavailable


class BotError(Exception):
    """Base of the bot's own errors."""


class Fenced(BotError):
    """Another replica moved this partition's position on: throw the batch away and read the position again."""


class Unfit(BotError):
    """Postgres cannot hold these very values, whatever anybody does to it."""


class Slow(Unavailable):
    """A dependency answers, but was not done in time: ask less of it at once."""


class TelegramError(BotError):
    """Telegram did not do what was asked. The library's error is the cause."""


class Unreachable(TelegramError):
    """Telegram cannot be reached, is broken, or refuses our token: wait, then do the same again."""


class Unanswered(Unreachable):
    """The request went out and no answer came back: Telegram may have done it."""


class RateLimited(TelegramError):
    """Too many messages for one chat: be silent there for `retry_after` seconds."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(f"Telegram asks for {retry_after:g} s of silence")
        self.retry_after = retry_after


class Gone(TelegramError):
    """The chat does not let us in: the bot was blocked, thrown out or never started there. That may change."""


class Migrated(TelegramError):
    """The group became a supergroup with another id: remember it and send there."""

    def __init__(self, new_chat_id: int) -> None:
        super().__init__("the group has a new id")
        self.new_chat_id = new_chat_id


class TopicGone(TelegramError):
    """The forum topic was deleted or closed: send to the chat's General topic and say so."""


class MessageGone(TelegramError):
    """The message to edit is no longer there, or too old: somebody removed it."""


class Rejected(TelegramError):
    """Telegram refuses this very request (400): it must not be sent again unchanged."""
