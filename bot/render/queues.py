"""Queues in a chat: the list, worst first, and one queue (pure)."""

from collections import Counter
from collections.abc import Container, Sequence

from bot import texts
from bot.delivery.messages import Button, Buttons
from bot.queues.state import (
    COUNTS,
    OLD_WAIT_SECONDS,
    Place,
    QueueState,
    handle,
    in_trouble,
    place,
    shared_names,
    worst_first,
)
from bot.render.markup import bold, clip, fit, name, visible
from bot.render.times import age, clock

PER_PAGE = 8
LABEL_UNITS = 60
MOST_DEEPER, DEEPER_PER_ROW, DEEPER_UNITS = 4, 2, 24


OLD_SECONDS = 180
"""The bridge tells of every queue at least once a minute; counts this old say nothing of now."""


def icon(one: QueueState, now_ms: int) -> str:
    """The state at a glance; that it is long ago weighs more than what it was."""
    if now_ms - one.as_of_ms > OLD_SECONDS * 1000:
        return texts.ICON_OLD
    if one.is_paused:
        return texts.ICON_PAUSED
    if not in_trouble(one):
        return texts.ICON_OK
    return texts.ICON_FAILED if one.failed or one.workers == 0 else texts.ICON_WARN


def trouble_words(one: QueueState) -> str:
    """Why a queue is in trouble."""
    words: list[str] = []
    if one.failed:
        words.append(f"{one.failed} failed")
    if one.is_paused and one.ready:
        words.append(f"paused with {one.ready} ready")
    elif one.ready and one.workers == 0:
        words.append(f"{one.ready} ready, no workers")
    if (one.oldest_waiting_seconds or 0) >= OLD_WAIT_SECONDS:
        words.append(f"oldest waits {age(one.oldest_waiting_seconds or 0)}")
    return ", ".join(words)


def workers_words(one: QueueState) -> str:
    """`workers 3`, or that nobody knows."""
    return f"workers {texts.UNKNOWN if one.workers is None else one.workers}"


def counts_line(one: QueueState, *, with_zeros: bool) -> str:
    """Every count that is not zero (or every one), in BullMQ's words."""
    counts = [(word, int(getattr(one, field))) for word, field in COUNTS]
    shown = [f"{word} {count}" for word, count in counts if count or with_zeros]
    return ", ".join(shown) or texts.EMPTY_QUEUE


def queue_name(where: Place, shared: Container[tuple[str, str]], most: int = 48) -> str:
    """A queue's name in bold, with its source before it where the name alone does not tell which it is."""
    env, source, queue = where
    return f"{name(source, 30)}/{bold(name(queue, most))}" if (env, queue) in shared else bold(name(queue, most))


def _two_lines(one: QueueState, now_ms: int, shared: Container[tuple[str, str]]) -> list[str]:
    title = f"{icon(one, now_ms)} {queue_name(place(one), shared)} · {name(one.env, 20)}"
    if one.is_paused:
        title += f" · {texts.PAUSED}"
    tail = [workers_words(one)]
    if one.oldest_waiting_seconds is not None and one.ready:
        tail.append(f"oldest {age(one.oldest_waiting_seconds)}")
    if now_ms - one.as_of_ms > OLD_SECONDS * 1000:
        tail.append(texts.SEEN_AGO.format(age=age((now_ms - one.as_of_ms) / 1000)))
    return [title, f"   {counts_line(one, with_zeros=False)} · {' · '.join(tail)}"]


def queues_text(queues: Sequence[QueueState], *, page: int, now_ms: int, note: str) -> str:
    """One page of the list, worst first. note: where the numbers are from, if that needs saying."""
    if not queues:
        return fit([bold(texts.NO_QUEUES), *([note] if note else [])])
    ranked = worst_first(queues)
    pages = page_count(len(ranked))
    page = max(0, min(page, pages - 1))
    troubled = sum(1 for one in ranked if in_trouble(one))
    newest_ms = max(one.as_of_ms for one in ranked)
    ages = texts.AS_OF.format(age=age((now_ms - newest_ms) / 1000), at=clock(newest_ms))
    lines = [
        bold(texts.QUEUES_HEADLINE.format(queues=count_of_queues(len(ranked)), troubled=troubled)),
        ages if pages == 1 else f"{ages} · {texts.PAGE.format(page=page + 1, pages=pages)}",
    ]
    if note:
        lines.append(note)
    shared = shared_names(place(one) for one in ranked)
    for one in ranked[page * PER_PAGE : (page + 1) * PER_PAGE]:
        lines += _two_lines(one, now_ms, shared)
    return fit(lines)


def count_of_queues(count: int) -> str:
    """`1 queue`, `2 queues`."""
    return f"{count} {'queue' if count == 1 else 'queues'}"


def page_count(queues: int) -> int:
    """Pages of the list; an empty list has one."""
    return max(1, -(-queues // PER_PAGE))


def queues_buttons(queues: Sequence[QueueState], page: int) -> Buttons:
    """A button for each of the worst of a page, to see why; turn pages, refresh in place."""
    pages = page_count(len(queues))
    page = max(0, min(page, pages - 1))
    refresh = Button(texts.REFRESH, data=f"queues:{page}")
    back = Button(texts.BACK_PAGE, data=f"queues:{(page - 1) % pages}")
    on = Button(texts.NEXT_PAGE, data=f"queues:{(page + 1) % pages}")
    turn = (back, refresh, on) if pages > 1 else (refresh,)
    shared = shared_names(place(one) for one in queues)
    shown = worst_first(queues)[page * PER_PAGE : (page + 1) * PER_PAGE]
    worst = [_deeper(one, shared) for one in shown if in_trouble(one)][:MOST_DEEPER]
    rows = [tuple(worst[at : at + DEEPER_PER_ROW]) for at in range(0, len(worst), DEEPER_PER_ROW)]
    return (*rows, turn)


def _deeper(one: QueueState, shared: Container[tuple[str, str]]) -> Button:
    label = f"{one.source}/{one.queue}" if (one.env, one.queue) in shared else one.queue
    return Button(clip(visible(label), DEEPER_UNITS), data=f"queue:{handle(one)}")


def queue_text(found: Sequence[QueueState], *, now_ms: int, note: str) -> str:
    """One queue in full; several if the same name is in use at several sources."""
    lines = [note] if note else []
    for one in found:
        lines.append(
            f"{icon(one, now_ms)} {bold(name(one.queue))} · {name(one.env, 20)} · {texts.SOURCE} {name(one.source)}"
        )
        if one.is_paused:
            lines.append(f"{texts.ICON_PAUSED} {texts.PAUSED}")
        lines += [f"{word} {getattr(one, field)}" for word, field in COUNTS]
        lines.append(workers_words(one))
        if one.ready and one.oldest_waiting_seconds is not None:
            lines.append(f"{texts.OLDEST_WAITS} {age(one.oldest_waiting_seconds)}")
        lines.append(texts.AS_OF.format(age=age((now_ms - one.as_of_ms) / 1000), at=clock(one.as_of_ms)))
    return fit(lines)


def queue_buttons(one: QueueState) -> Buttons:
    """Refresh this queue, see its failures and its chart, go to the list."""
    return (
        (Button(texts.REFRESH, data=f"queue:{handle(one)}"), Button(texts.FAILED_JOBS, data=f"failed:{handle(one)}")),
        (Button(texts.CHART, data=f"chart:{handle(one)}"), Button(texts.ALL_QUEUES, data="queues:0")),
    )


def suggestions(near: Sequence[QueueState], command: str) -> Buttons:
    """One button per queue that may have been meant; with env and source where the name alone does not tell."""
    names = Counter(one.queue for one in near)
    labels = [one.queue if names[one.queue] == 1 else f"{one.source}/{one.queue} · {one.env}" for one in near]
    return tuple(
        (Button(clip(visible(label), LABEL_UNITS), data=f"{command}:{handle(one)}"),)
        for label, one in zip(labels, near, strict=True)
    )
