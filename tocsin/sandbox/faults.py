"""Scripted faults: make the next calls fail as Telegram's can, or lose their answers as a network does."""

import itertools
from typing import Literal

from msgspec import Struct

from tocsin.sandbox.errors import ApiError, bad_request, forbidden, migrated, too_many_requests

FaultKind = Literal[
    "retry_after",
    "blocked",
    "kicked",
    "bad_request",
    "migrate",
    "server_error",
    "thread_closed",
    "thread_deleted",
    "hang",
    "drop",
]


class Fault(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """One script: what happens to the calls it matches.

    method None = any but getUpdates; chat_id None = any chat; contains = only calls whose text has this. The first
    `skip` matching calls pass; then `times` are hit (None = all until the fault is removed).
    `accepted` counts for hang and drop: whether the call is carried out before its answer is late or lost. It is true
    unless said otherwise. A call that hangs unaccepted is carried out afterwards, unless the caller has gone by then.
    """

    kind: FaultKind
    method: str | None = None
    chat_id: int | None = None
    contains: str | None = None
    skip: int = 0
    times: int | None = 1
    retry_after: int = 1
    migrate_to_chat_id: int | None = None
    code: int = 500
    description: str | None = None
    seconds: float = 1.0
    accepted: bool = True

    def matches(self, method: str, chat_id: int | None, text: str) -> bool:
        wanted = method != "getUpdates" if self.method is None else self.method.lower() == method.lower()
        return wanted and self.chat_id in (None, chat_id) and (self.contains is None or self.contains in text)

    def refusal(self) -> ApiError | None:
        """The error the call ends with; None for hang and drop."""
        error = self._refusal()
        if error is not None and self.description is not None:
            return ApiError(error.code, self.description, error.parameters)
        return error

    def _refusal(self) -> ApiError | None:
        match self.kind:
            case "retry_after":
                return too_many_requests(self.retry_after)
            case "blocked":
                return forbidden("bot was blocked by the user")
            case "kicked":
                return forbidden("bot was kicked from the supergroup chat")
            case "bad_request":
                return bad_request("wrong request")
            case "migrate":
                return migrated(self.migrate_to_chat_id or -1_000_000_000_000 + (self.chat_id or -1))
            case "server_error":
                return ApiError(self.code, "Internal Server Error")
            case "thread_closed":
                return bad_request("TOPIC_CLOSED")
            case "thread_deleted":
                return bad_request("message thread not found")
            case "hang" | "drop":
                return None


class Faults:
    """The scripts not yet used up, oldest first."""

    def __init__(self) -> None:
        self._faults: dict[int, Fault] = {}
        self._ids = itertools.count(1)

    def add(self, fault: Fault) -> int:
        """Script a fault; return the id it can be removed by."""
        fault_id = next(self._ids)
        self._faults[fault_id] = fault
        return fault_id

    def remove(self, fault_id: int) -> bool:
        return self._faults.pop(fault_id, None) is not None

    def clear(self) -> None:
        self._faults.clear()

    def items(self) -> list[tuple[int, Fault]]:
        """What is left of each script."""
        return list(self._faults.items())

    def take(self, method: str, chat_id: int | None, text: str) -> Fault | None:
        """The fault that hits this call, counted as used; None if it may pass."""
        for fault_id, fault in list(self._faults.items()):
            if not fault.matches(method, chat_id, text):
                continue
            if fault.skip > 0:
                fault.skip -= 1
                continue
            if fault.times is not None:
                fault.times -= 1
                if fault.times <= 0:
                    del self._faults[fault_id]
            return fault
        return None
