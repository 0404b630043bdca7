"""The first message (pure)."""

from collections.abc import Sequence

from bot import texts
from bot.queues.state import QueueState, place, shared_names, worst_first
from bot.render.markup import bold, fit, name
from bot.render.queues import count_of_queues, queue_name, trouble_words

TOP = 10


def greeting_text(watched: Sequence[QueueState], troubled: Sequence[QueueState], *, missing: int) -> str:
    """`Watching N queues. K already in trouble: …`, the worst ten by name."""
    headline = texts.WATCHING.format(queues=count_of_queues(len(watched)))
    if not troubled:
        lines = [f"{texts.ICON_OK} {bold(headline)} {texts.NO_TROUBLE}"]
    else:
        said = texts.ALREADY_IN_TROUBLE.format(count=len(troubled))
        top = worst_first(troubled)[:TOP]
        shared = shared_names(place(one) for one in watched)
        lines = [
            f"{texts.ICON_WARN} {bold(f'{headline} {said}')}",
            *(f"• {name(one.env, 20)} · {queue_name(place(one), shared)}: {trouble_words(one)}" for one in top),
        ]
        if len(troubled) > TOP:
            lines.append(texts.AND_MORE.format(count=len(troubled) - TOP))
    if missing:
        lines.append(texts.NOT_SEEN_YET.format(count=missing))
    return fit([*lines, texts.GREETING_END])
