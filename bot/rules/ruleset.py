"""The rules over what is measured: which states of a queue, a schedule, a Redis or Tocsin ring, and why (pure).

Each number here is a default; people change them by /rules and on the page.
"""

from bot.render.times import age
from bot.rules import measures
from bot.rules.conditions import (
    MINUTE,
    BridgeSight,
    QueueSight,
    Rule,
    ScheduleSight,
    SelfSight,
    SourceSight,
    Unit,
)
from bot.rules.policy import EVENT_RULES, FAILED


def _some(count: float, one: str, more: str = "") -> str:
    """`1 job is`, `7 jobs are`."""
    return f"{count:g} {one if count == 1 else more or f'{one}s'}"


QUEUE_RULES: tuple[Rule[QueueSight], ...] = (
    Rule(
        name="no-workers",
        title="No workers",
        about="jobs are ready and no worker is connected",
        why="a deployment that did not come back looks like this; one that takes 3 min does not",
        measure=measures.no_workers,
        explain=lambda seen: (
            f"{_some(seen.ready, 'job is', 'jobs are')} ready, and no worker is connected to this queue."
        ),
        fire_seconds=3 * MINUTE,
    ),
    Rule(
        name="oldest-waiting",
        title="Jobs wait too long",
        about="a job that is ready has waited for {fire}",
        why="workers are there, and do not keep up, do not move, or always take others first",
        measure=measures.oldest_waiting,
        explain=lambda seen: (
            f"A job that is ready has waited {age(seen.queue.oldest_waiting_seconds or 0)}; {seen.ready} are ready, "
            f"{seen.queue.active} active, workers {'unknown' if seen.queue.workers is None else seen.queue.workers}."
        ),
        fire=30 * MINUTE,
        resolve=15 * MINUTE,
        fire_seconds=5 * MINUTE,
        unit=Unit.SECONDS,
    ),
    Rule(
        name="depth",
        title="Backlog",
        about="{fire} jobs are ready",
        why="far more comes in than is done, and Redis keeps it all in memory",
        measure=measures.depth,
        explain=lambda seen: f"{_some(seen.ready, 'job is', 'jobs are')} ready, {seen.queue.active} active.",
        fire=10_000,
        resolve=5_000,
        fire_seconds=15 * MINUTE,
        unit=Unit.COUNT,
    ),
    Rule(
        name="unlocked",
        title="Worker wedged",
        about="the job that has run for longest has lost its lock",
        why="its worker died or hangs; BullMQ's own check, every 30 s where a worker is, has not moved the job on",
        measure=measures.unlocked,
        explain=lambda seen: (
            f"Job {seen.queue.longest_active_id} has been active for "
            f"{age(seen.queue.longest_active_seconds or 0)} and has no lock: its worker is dead, or too busy to renew "
            "it."
        ),
        fire_seconds=2 * MINUTE,
    ),
    Rule(
        name="overdue",
        title="Delayed jobs overdue",
        about="delayed jobs are due and nobody moves them",
        why="workers are connected, and none takes what is due: they are wedged, or all busy",
        measure=measures.overdue,
        explain=lambda seen: (
            f"{_some(seen.queue.overdue or 0, 'delayed job is', 'delayed jobs are')} due, and no worker has moved them."
        ),
        fire_seconds=3 * MINUTE,
    ),
    Rule(
        name="paused",
        title="Paused too long",
        about="a queue is paused while jobs are ready",
        why="a pause is meant to end, and is easily forgotten",
        measure=measures.paused,
        explain=lambda seen: f"The queue is paused, and {_some(seen.ready, 'job is', 'jobs are')} ready.",
        fire_seconds=60 * MINUTE,
    ),
    Rule(
        name="failure-rate",
        title="Many jobs fail",
        about="{fire} of the jobs that end fail for good, of at least {least} in a minute",
        why="one failure is an incident of its own; this says that most of a queue's work is lost",
        measure=measures.failure_rate,
        explain=lambda seen: (
            f"Of the {measures.ended(seen) or 0:g} jobs that ended in the last minute "
            f"{seen.queue.failed_per_minute or 0} failed for good."
        ),
        fire=0.5,
        resolve=0.25,
        fire_seconds=5 * MINUTE,
        resolve_seconds=5 * MINUTE,
        unit=Unit.SHARE,
        volume=measures.ended,
        least=20,
    ),
    Rule(
        name="still",
        title="Nothing moves",
        about="workers are connected, jobs are ready, and none has ended for {fire} what the queue's last week allows",
        why="workers that are alive and do nothing look well everywhere else; a queue of long jobs is given their time",
        measure=measures.stillness,
        explain=lambda seen: (
            f"{_some(seen.ready, 'job is', 'jobs are')} ready, {_some(seen.queue.workers or 0, 'worker')} connected, "
            f"and no job has ended for {age(seen.still_seconds or 0)}; its history lets one expect "
            f"{age(measures.still_for(seen) or 0)} at most."
        ),
        unit=Unit.TIMES,
    ),
    Rule(
        name="nothing-added",
        title="Nothing comes in",
        about="no job came in for an hour in which at least {fire} always do (it needs a week of history)",
        why="whatever adds the jobs has stopped, and a queue that is empty looks well",
        measure=measures.nothing_added,
        explain=lambda seen: f"No job came in for an hour, in which usually {seen.habit.usual_added or 0} or more do.",
        fire=10,
        resolve=1,
        fire_seconds=15 * MINUTE,
        unit=Unit.COUNT,
    ),
    Rule(
        name="long-running",
        title="A job runs too long",
        about="one job has been active for 10 min and {fire} as long as 99 % of the last week's",
        why="it hangs, and holds a worker; nothing in BullMQ ends it",
        measure=measures.runs_long,
        explain=lambda seen: (
            f"Job {seen.queue.longest_active_id} has been active for {age(seen.queue.longest_active_seconds or 0)}; "
            f"99 % of this queue's jobs take less than {age(seen.habit.run_p99 or 0)}."
        ),
        fire=10,
        resolve=10,
        fire_seconds=MINUTE,
        unit=Unit.TIMES,
    ),
    Rule(
        name="slow",
        title="Jobs take longer",
        about="the slowest 5 % of the last 10 min took {fire} as long as in the last week, of at least {least} jobs",
        why="what the jobs depend on has become slow; waiting and failures come next",
        measure=measures.slowness,
        explain=lambda seen: (
            f"5 % of the last 10 min's jobs took {age(seen.habit.lately_p95 or 0)} or more; in the last week that was "
            f"{age(seen.habit.run_p95 or 0)}."
        ),
        fire=5,
        resolve=3,
        fire_seconds=10 * MINUTE,
        resolve_seconds=5 * MINUTE,
        unit=Unit.TIMES,
        volume=lambda seen: seen.habit.lately_runs,
        least=50,
    ),
)
SCHEDULE_RULES: tuple[Rule[ScheduleSight], ...] = (
    Rule(
        name="schedule",
        title="Schedule did not fire",
        about="a job scheduler's time is {fire} past, and no worker has begun its job",
        why="nothing fails when a nightly job does not run: nobody would hear of it",
        measure=measures.schedule_overdue,
        explain=lambda seen: (
            f"The schedule {seen.schedule.scheduler} was due {age(seen.schedule.overdue_seconds)} ago, and no worker "
            "has begun its job."
        ),
        fire=3 * MINUTE,
        resolve=MINUTE,
        unit=Unit.SECONDS,
    ),
)
SOURCE_RULES: tuple[Rule[SourceSight], ...] = (
    Rule(
        name="redis-unreachable",
        title="Redis unreachable",
        about="the bridge cannot reach a source's Redis",
        why="then nothing of that source is seen, and your app may not work either; its other rules rest meanwhile",
        measure=lambda seen: float(not seen.source.is_reachable),
        explain=lambda seen: f"The bridge cannot reach the Redis of source {seen.source.source}.",
        fire_seconds=MINUTE,
    ),
    Rule(
        name="memory",
        title="Redis is nearly full",
        about="Redis holds {fire} of its maxmemory",
        why="when it is full, jobs can no longer be added, or are thrown away",
        measure=measures.memory_share,
        explain=lambda seen: (
            f"Redis holds {(seen.source.memory_bytes or 0) / 2**20:,.0f} MiB of "
            f"{(seen.source.max_memory_bytes or 0) / 2**20:,.0f} MiB (maxmemory-policy "
            f"{seen.source.policy or 'unknown'})."
        ),
        fire=0.9,
        resolve=0.8,
        fire_seconds=5 * MINUTE,
        unit=Unit.SHARE,
    ),
    Rule(
        name="evictions",
        title="Redis throws keys away",
        about="Redis has evicted keys; over after 30 min without",
        why="it is full, and what it throws away may be your jobs",
        measure=lambda seen: seen.evicted,
        explain=lambda seen: (
            f"Redis has evicted {seen.source.evicted_keys} keys since it began (maxmemory-policy "
            f"{seen.source.policy or 'unknown'}). Jobs may be lost: give it more memory, and set noeviction."
        ),
        resolve_seconds=30 * MINUTE,
    ),
)
BRIDGE_RULES: tuple[Rule[BridgeSight], ...] = (
    Rule(
        name="bridge-silent",
        title="Tocsin does not see it",
        about="the bridge has told nothing of a source for {fire}",
        why="then nothing of that source can ring: no news is not good news",
        measure=lambda seen: seen.silent_seconds,
        explain=lambda seen: (
            f"The bridge has told nothing of source {seen.source.source} since it was seen last; failures there do not "
            "ring. Is the bridge running? (If the source was taken away on purpose, /ack this or silence it for a day; "
            "it ends by itself after a day in which other sources are seen.)"
        ),
        fire=5 * MINUTE,
        resolve=MINUTE,
        resolve_seconds=0,
        unit=Unit.SECONDS,
    ),
)
SELF_RULES: tuple[Rule[SelfSight], ...] = (
    Rule(
        name="behind",
        title="Tocsin is behind",
        about="what the bot has counted is {fire} old",
        why="alerts come late, and silence says nothing; /status tells what holds it up",
        measure=lambda seen: seen.behind_seconds,
        explain=lambda seen: (
            f"What failed in the last {age(seen.behind_seconds)} has not been counted yet, so it has not rung."
        ),
        fire=2 * MINUTE,
        resolve=30,
        fire_seconds=MINUTE,
        resolve_seconds=0,
        unit=Unit.SECONDS,
    ),
)
RULES = (*QUEUE_RULES, *SCHEDULE_RULES, *SOURCE_RULES, *BRIDGE_RULES, *SELF_RULES)
SWITCHES = frozenset(one.name for one in (*RULES, *EVENT_RULES)) - {FAILED.name}
"""Rules that can be switched off."""
