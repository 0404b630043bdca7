"""Telegram's refusals, in Telegram's words.

Texts: the public sources of telegram-bot-api (`Client.cpp`) and td (`MessageEntity.cpp`, `ReplyMarkup.cpp`,
`MessageContent.cpp`), where the first letter after "Bad Request: " is made small unless it begins a SHOUTED_CODE.
"""

from typing import Any


class ApiError(Exception):
    """A call is refused. code: HTTP status and `error_code`; parameters: Telegram's ResponseParameters, if any."""

    def __init__(self, code: int, description: str, parameters: dict[str, Any] | None = None) -> None:
        super().__init__(description)
        self.code = code
        self.description = description
        self.parameters = parameters


class UnknownChat(LookupError):
    """A person asked for a chat that does not exist; the text says which."""


class Refused(ValueError):
    """A person asked for something that no Telegram app would let them do; the text says what."""


def bad_request(reason: str) -> ApiError:
    """400 with `Bad Request: ` before the reason, whose first letter is made small as Telegram does."""
    shouted = reason[1:2] == "_" or reason[1:2].isupper()
    return ApiError(400, f"Bad Request: {reason if shouted else reason[:1].lower() + reason[1:]}")


def forbidden(reason: str) -> ApiError:
    """403 with `Forbidden: ` before the reason."""
    return ApiError(403, f"Forbidden: {reason}")


def too_many_requests(retry_after: int) -> ApiError:
    """429; retry_after in whole seconds."""
    return ApiError(429, f"Too Many Requests: retry after {retry_after}", {"retry_after": retry_after})


def migrated(new_chat_id: int) -> ApiError:
    """400: the group became a supergroup, which has another id."""
    text = "Bad Request: group chat was upgraded to a supergroup chat"
    return ApiError(400, text, {"migrate_to_chat_id": new_chat_id})


NOT_MODIFIED = (
    "message is not modified: specified new message content and reply markup are exactly the same as a current "
    "content and reply markup of the message"
)
QUERY_TOO_OLD = "query is too old and response timeout expired or query ID is invalid"
OTHER_POLLER = "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"
WEBHOOK_SET = (
    "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"
)
WEBHOOK_CAME = "Conflict: terminated by setWebhook request"
