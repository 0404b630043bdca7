"""What the outbox itself has to say (pure)."""

from bot import texts
from bot.render.times import many


def dropped_text(edits: int, sounds: int) -> str:
    """What was left out because it came too late."""
    words = [texts.DROPPED_EDITS.format(messages=many(edits, "message"))] if edits else []
    if sounds:
        words.append(many(sounds, "reminder"))
    return texts.DROPPED.format(what=" and ".join(words))
