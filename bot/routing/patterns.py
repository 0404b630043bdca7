"""Which queues an entry of a setting is for (pure)."""

from fnmatch import fnmatchcase

from tocsin import globs


class Pattern:
    """Globs of env, source and queue, which are fields of whatever has one; `*` fits all."""

    env: str
    source: str
    queue: str

    def matches(self, env: str, source: str, queue: str) -> bool:
        return fnmatchcase(env, self.env) and fnmatchcase(source, self.source) and globs.fits(queue, self.queue)


def read_pattern(text: str) -> tuple[str, str, str]:
    """Read `env` or `source/queue`, globs, the first `/` divides; nothing is everything. Returns the three globs."""
    source, slash, queue = text.strip().partition("/")
    return ("*", source, queue) if slash else (source or "*", "*", "*")
