"""An operator's own patterns of what to hide: read, and tried out before anything else is.

They run over every text of a job, which is hostile until shown otherwise. So each is tried on texts that are long and
alike: one that takes too long there would keep the bridge from its streams.
"""

import re
import signal
from collections.abc import Iterator
from types import FrameType

MOST_PATTERNS, MOST_CHARACTERS = 20, 500
TRIED_CHARACTERS = 32 * 1024
"""As long as any text that is looked through, of job data."""
TRIED_SECONDS = 0.5
"""Of CPU, for all the texts one pattern is tried on; a good one takes some milliseconds."""

_ALIKE = ("a", "A", "0", " ", "-", "_", ".", "/", "=", ":", '"', ",", "@", "a ", "0 ", "a.", "0-", "a1", '\\"', "\n")


class _TooSlow(Exception):
    pass


def read_patterns(text: str) -> tuple[re.Pattern[str], ...]:
    """Patterns with spaces between them. Raises ValueError that names the wrong one by its number and says why."""
    words = text.split()
    if len(words) > MOST_PATTERNS:
        raise ValueError(f"{len(words)} patterns, {MOST_PATTERNS} at most: join some with |")
    return tuple(_read(number, word) for number, word in enumerate(words, 1))


def _read(number: int, word: str) -> re.Pattern[str]:
    if len(word) > MOST_CHARACTERS:
        raise ValueError(f"pattern {number} has {len(word)} characters, {MOST_CHARACTERS} at most")
    try:
        pattern = re.compile(word)
    except re.error as error:
        raise ValueError(f"pattern {number} is no regular expression: {error}") from None
    if pattern.search("") is not None:
        raise ValueError(f"pattern {number} is found in an empty text: let it ask for something")
    if not _is_fast(pattern):
        raise ValueError(
            f"pattern {number} takes too long on long texts: bound its repeats ({{1,64}} instead of + or *), put none "
            r"into another, and begin it with a fixed word or \b"
        )
    return pattern


def _is_fast(pattern: re.Pattern[str]) -> bool:
    """Try it; in the main thread, since `re` heeds signals alone. CPU time, so that a busy machine refuses nothing."""

    def give_up(_: int, __: FrameType | None) -> None:
        raise _TooSlow

    before = signal.signal(signal.SIGVTALRM, give_up)
    signal.setitimer(signal.ITIMER_VIRTUAL, TRIED_SECONDS)
    try:
        for alike in _texts(pattern):
            pattern.sub("", alike)
    except _TooSlow:
        return False
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
    return True


def _texts(pattern: re.Pattern[str]) -> Iterator[str]:
    """What is alike all over: common characters, and the pattern's own characters and words."""
    words = re.findall(r"[A-Za-z0-9]+", pattern.pattern)
    for alike in (*_ALIKE, *sorted({one for word in words for one in word}), *words):
        yield (alike * (TRIED_CHARACTERS // len(alike))) + "!"
