"""The bot's tables, a file for each idea. Times in `*_ms` are milliseconds since 1970 UTC, as in Kafka."""

from bot.store.models.actions import ActionJob, ActionRow
from bot.store.models.base import Base
from bot.store.models.incidents import IncidentRow, RuleRow, SilenceRow, StormRow, WatchRow
from bot.store.models.outbox import Card, ChatMove, ChatPace, DispatchRow, LateSummary, SubscriptionRow
from bot.store.models.people import (
    ApiToken,
    AuditRow,
    EndedSession,
    Grant,
    LoginTicket,
    Person,
    RotaRow,
    ShiftRow,
    ViewRow,
)
from bot.store.models.progress import KafkaOffset, LeaseRow, Milestone, UpdateRow

__all__ = [
    "ActionJob",
    "ActionRow",
    "ApiToken",
    "AuditRow",
    "Base",
    "Card",
    "ChatMove",
    "ChatPace",
    "DispatchRow",
    "EndedSession",
    "Grant",
    "IncidentRow",
    "KafkaOffset",
    "LateSummary",
    "LeaseRow",
    "LoginTicket",
    "Milestone",
    "Person",
    "RotaRow",
    "RuleRow",
    "ShiftRow",
    "SilenceRow",
    "StormRow",
    "SubscriptionRow",
    "UpdateRow",
    "ViewRow",
    "WatchRow",
]
