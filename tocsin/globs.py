"""Globs of queues' names, as settings have them: pure."""

import re
from fnmatch import fnmatchcase

_SLOT = re.compile(r"\{(.+?)\}")


def fits(queue: str, glob: str) -> bool:
    """Whether a glob is of this queue: of its name, or of that without the braces that give it a slot of a cluster."""
    return fnmatchcase(queue, glob) or fnmatchcase(_SLOT.sub(r"\1", queue, count=1), glob)
