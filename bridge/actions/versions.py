"""Which actions would lose jobs of a queue because its app speaks another version of BullMQ than our client: pure.

Version 5 keeps the waiting jobs of a paused queue in a list of its own, `paused`, and its `pause` and `resume` rename
one list over the other. Our client, of version 6, leaves them in `wait`. Where both lists hold jobs, version 5's next
rename overwrites one of them, and its jobs are in no list any more.
"""

from collections.abc import Sequence

FIELDS = ("version", "paused")
"""Of the queue's `meta`; both are looked at."""
_LOSING = {
    True: frozenset({"retry", "promote", "pause"}),
    False: frozenset({"pause"}),
}
"""By whether the queue is paused."""


def hazard(action: str, meta: Sequence[bytes | str | None]) -> str | None:
    """Why an action is not safe on a queue whose `meta` says so (FIELDS, in order); None if it is.

    Before 5.40, and where only workers or Python made the queue, `meta` names no version: then nobody knows.
    """
    version, paused = ((value.decode(errors="replace") if isinstance(value, bytes) else value) for value in meta)
    if _major(version) >= 6 or action not in _LOSING[paused is not None]:
        return None
    what = (
        f"its app runs {version.replace(':', ' ', 1)[:60]}" if version else "its app runs a BullMQ of unknown version"
    )
    why = "would lose jobs to" if action == "pause" else "while the queue is paused would lose jobs to"
    return f"{what}, and {action} by a client of version 6 {why} the app's own pause and resume"


def mend_of(action: str) -> str:
    """What to do instead."""
    return "pause it in the app" if action == "pause" else "resume the queue first"


def _major(version: str | None) -> int:
    number = (version or "").rpartition(":")[2].partition(".")[0]
    return int(number) if number.isdecimal() else 0
