"""What the library raises -> our errors."""

from datetime import timedelta

import httpx
from telegram import error

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


def reason(failure: Exception) -> str:
    return f"{type(failure).__name__}: {failure}"[:200]


class ours:  # reads as a statement: `with ours():`
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
            return (Unanswered if _was_sent(failure) else Unreachable)(reason(failure))


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
