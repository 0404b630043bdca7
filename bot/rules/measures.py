"""What rules measure of a queue, a schedule or a Redis; None = not known now (pure).

What is plainly well is so also of a queue that is paused or without workers: else what had rung would never end there.
"""

from bot.rules.conditions import MINUTE, QueueSight, ScheduleSight, SourceSight


def oldest_waiting(seen: QueueSight) -> float | None:
    if not seen.ready:
        return 0
    return seen.queue.oldest_waiting_seconds if seen.is_attended else None  # told by other rules


def depth(seen: QueueSight) -> float | None:
    return None if seen.ready and seen.queue.is_paused else seen.ready


def no_workers(seen: QueueSight) -> float | None:
    queue = seen.queue
    if queue.workers is None:
        return None
    if queue.workers or not (seen.ready or queue.overdue):
        return 0
    return None if queue.is_paused else 1


def unlocked(seen: QueueSight) -> float | None:
    queue = seen.queue
    if not queue.active:
        return 0
    return None if queue.is_longest_active_locked is None else float(not queue.is_longest_active_locked)


def overdue(seen: QueueSight) -> float | None:
    if seen.queue.overdue is None:
        return None
    count = max(0, seen.queue.overdue - seen.overdue_schedules)
    return count if not count or seen.is_attended else None


def paused(seen: QueueSight) -> float | None:
    return float(seen.queue.is_paused and seen.ready > 0)


def schedule_overdue(seen: ScheduleSight) -> float | None:
    if not seen.schedule.is_overdue:
        return 0
    if seen.queue is not None and not QueueSight(seen.queue).is_attended:
        return None  # told by other rules
    return seen.schedule.overdue_seconds


def ended(seen: QueueSight) -> float | None:
    queue = seen.queue
    if queue.completed_per_minute is None or queue.failed_per_minute is None:
        return None
    return queue.completed_per_minute + queue.failed_per_minute


def failure_rate(seen: QueueSight) -> float | None:
    count = ended(seen)
    return None if count is None else (seen.queue.failed_per_minute or 0) / max(1, count)


LEAST_STILL_SECONDS, PATIENCE = 10 * MINUTE, 3


def still_for(seen: QueueSight) -> float | None:
    """How long nothing may end in this queue before that is strange; None = history does not say."""
    habit = seen.habit
    if habit.run_p99 is None or not habit.ends_per_minute:
        return None
    return max(LEAST_STILL_SECONDS, PATIENCE * habit.run_p99, PATIENCE * MINUTE / habit.ends_per_minute)


def stillness(seen: QueueSight) -> float | None:
    usual = still_for(seen)
    if usual is None or seen.still_seconds is None:
        return None
    if seen.ready and (not seen.queue.workers or seen.queue.is_rate_limited):
        return None
    return seen.still_seconds / usual


def nothing_added(seen: QueueSight) -> float | None:
    habit = seen.habit
    if habit.usual_added is None or habit.added is None:
        return None
    return 0 if habit.added else habit.usual_added


LEAST_RUN_SECONDS = 10 * MINUTE


def runs_long(seen: QueueSight) -> float | None:
    if not seen.queue.active:
        return 0
    if seen.habit.run_p99 is None or seen.queue.longest_active_seconds is None:
        return None
    if seen.queue.longest_active_seconds < LEAST_RUN_SECONDS:
        return 0
    return seen.queue.longest_active_seconds / max(1.0, seen.habit.run_p99)


LEAST_SLOW_SECONDS = 1.0


def slowness(seen: QueueSight) -> float | None:
    habit = seen.habit
    if habit.run_p95 is None or habit.lately_p95 is None:
        return None
    if habit.lately_p95 < LEAST_SLOW_SECONDS:
        return 0
    return habit.lately_p95 / max(0.001, habit.run_p95)


def memory_share(seen: SourceSight) -> float | None:
    source = seen.source
    if source.memory_bytes is None or source.max_memory_bytes is None:
        return None
    return source.memory_bytes / source.max_memory_bytes if source.max_memory_bytes else 0
