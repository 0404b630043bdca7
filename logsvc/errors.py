"""What can go wrong in logsvc, named by what the caller should do about it."""


class LogsvcError(Exception):
    """Base of all of this service's errors."""


class StoreDown(LogsvcError):
    """ClickHouse cannot be reached or is ill: the same call may succeed later. Wait and try again.

    code: ClickHouse's own, if it answered at all.
    """

    def __init__(self, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code


class RowsRefused(LogsvcError):
    """ClickHouse read the rows and refused at least one: the same bytes will never be stored. Find the bad one."""


class QueryTooHeavy(LogsvcError):
    """A query hit its limit of time, rows or memory: the person should narrow it."""


class Fenced(LogsvcError):
    """The partition is no longer ours: another owner will go on from what was committed. Let go of it."""


class KafkaDown(LogsvcError):
    """Kafka did not answer in time. Wait and try again."""


class BadRequest(LogsvcError):
    """The person's request cannot be answered; the message says what is wrong with it, in their words."""


class TooMany(LogsvcError):
    """As many as we take are under way already; the message says of what. Wait for one to end."""


class NotReadyYet(LogsvcError):
    """We have only just started and do not know the answer yet; the message says what is being read."""
