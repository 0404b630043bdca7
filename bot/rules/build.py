"""Puts the room of rules together: what they go by, what they look at, and what they would have said."""

from dataclasses import dataclass

from bot.doors import Doors
from bot.incidents.consume import MARKS, Progress
from bot.kafka import Replay
from bot.queues.snapshots import Snapshots
from bot.rules.board import Board
from bot.rules.habits import Habits
from bot.rules.policy import Policy
from bot.rules.preview import Kind, Preview
from bot.rules.rulebook import RuleBook
from bot.rules.rulekeeping import RuleKeeping
from bot.rules.watching import Tables
from bot.settings import BotSettings
from tocsin.events import JobEvent, QueueSnapshot, SchedulerSnapshot, SourceSnapshot


@dataclass(frozen=True)
class Rules:
    """The rules as people want them, kept up to date, and everything they judge by."""

    book: RuleBook
    keeping: RuleKeeping
    board: Board
    habits: Habits
    tables: Tables
    preview: Preview


def build_rules(settings: BotSettings, doors: Doors, snapshots: Snapshots, progress: Progress) -> Rules:
    """Nothing runs yet: habits, tables and keeping are supervised parts."""
    book = RuleBook(policy_of(settings))
    habits = Habits(doors.history, lambda: snapshots.by_place().keys(), snapshots.watched)
    return Rules(
        book=book,
        keeping=RuleKeeping(doors.database, book),
        board=Board(book),
        habits=habits,
        tables=Tables(snapshots, habits=lambda: habits.by_place, behind_seconds=progress.behind_seconds),
        preview=Preview(lambda: past_of(settings), book, MARKS),
    )


def policy_of(settings: BotSettings) -> Policy:
    """The thresholds that settings set."""
    return Policy(
        stale_seconds=settings.bot_stale_seconds,
        resolve_seconds=settings.bot_resolve_seconds,
        remind_seconds=settings.bot_remind_seconds,
        ack_seconds=settings.bot_ack_seconds,
        off=settings.bot_rules_off,
        storm_incidents=settings.bot_storm_incidents,
        escalate_seconds=settings.bot_escalate_seconds,
        quiet_hours=settings.bot_quiet_hours,
        escalate_to=tuple(route.to for route in settings.bot_escalate_to),
    )


def past_of(settings: BotSettings) -> list[tuple[Replay, Kind]]:
    """The topics that rules judge, to be read from their past."""
    topics = settings.topics
    kinds: dict[str, Kind] = {
        topics.jobs: JobEvent,
        topics.queues: QueueSnapshot,
        topics.schedulers: SchedulerSnapshot,
        topics.sources: SourceSnapshot,
    }
    return [(Replay(settings, topic), kind) for topic, kind in kinds.items()]
