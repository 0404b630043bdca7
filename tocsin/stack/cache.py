"""Where downloads are kept, shared by every data directory of this user, and how their progress is told."""

import fcntl
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

Say = Callable[[str], None]
"""Tell the person one short line of progress."""


def cache_dir(environ: Mapping[str, str]) -> Path:
    """TOCSIN_CACHE_DIR, else the user's cache directory by the XDG rules; made if missing."""
    given = environ.get("TOCSIN_CACHE_DIR")
    base = Path(environ.get("XDG_CACHE_HOME") or Path(environ.get("HOME") or "/tmp") / ".cache")
    path = Path(given) if given else base / "tocsin"
    path.mkdir(parents=True, exist_ok=True)
    return path.resolve()


@contextmanager
def exclusive(lock_file: Path) -> Generator[None]:
    """Hold a file lock: two processes that need the same download make one. Blocks; call it off the event loop."""
    lock_file.parent.mkdir(parents=True, exist_ok=True)
    with lock_file.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
