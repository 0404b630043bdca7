"""The first message (pure)."""

from collections.abc import Collection, Mapping, Sequence

from bot import texts
from bot.queues.state import QueueState, in_trouble, place, shared_names, worst_first
from bot.render.markup import bold, fit, name
from bot.render.queues import count_of_queues, queue_name, trouble_words
from bot.rules.rulebook import ALL

TOP = 10
IN_WORDS = frozenset({"no-workers", "oldest-waiting", "paused"})
"""Rules whose trouble a queue's own words tell."""


def greeting_text(
    watched: Sequence[QueueState], found: Mapping[tuple[str, str], Collection[str]], *, missing: int
) -> str:
    """`Watching N queues. K already in trouble: …`, the worst ten by name. found: see Board.firing."""
    headline = texts.WATCHING.format(queues=count_of_queues(len(watched)))
    words = {place(one): _words(one, found.get((one.source, one.queue), ())) for one in watched}
    troubled = [one for one in watched if words[place(one)]]
    if not troubled:
        lines = [f"{texts.ICON_OK} {bold(headline)} {texts.NO_TROUBLE}"]
    else:
        said = texts.ALREADY_IN_TROUBLE.format(count=len(troubled))
        top = worst_first(troubled)[:TOP]
        shared = shared_names(place(one) for one in watched)
        lines = [
            f"{texts.ICON_WARN} {bold(f'{headline} {said}')}",
            *(f"• {name(one.env, 20)} · {queue_name(place(one), shared)}: {words[place(one)]}" for one in top),
        ]
        if len(troubled) > TOP:
            lines.append(texts.AND_MORE.format(count=len(troubled) - TOP))
    if missing:
        lines.append(texts.NOT_SEEN_YET.format(count=missing))
    return fit([*lines, texts.GREETING_END])


def _words(one: QueueState, found: Collection[str]) -> str:
    """Why it is in trouble; empty if it is not. What rules found is not rung for: it must be said here."""
    own = trouble_words(one) if in_trouble(one) else ""
    titles = [ALL[rule].title for rule in sorted(found) if not (own and rule in IN_WORDS)]
    return ", ".join([own, *titles] if own else titles)
