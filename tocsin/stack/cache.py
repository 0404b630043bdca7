"""Where downloads are kept, shared by every data directory of this user, and how their progress is told."""

import asyncio
import fcntl
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

Say = Callable[[str], None]
"""Tell the person one short line of progress."""

_POLL_SECONDS = 0.1


def cache_dir(environ: Mapping[str, str]) -> Path:
    """TOCSIN_CACHE_DIR, else the user's cache directory by the XDG rules; made if missing."""
    given = environ.get("TOCSIN_CACHE_DIR")
    base = Path(environ.get("XDG_CACHE_HOME") or Path(environ.get("HOME") or "/tmp") / ".cache")
    path = Path(given) if given else base / "tocsin"
    path.mkdir(parents=True, exist_ok=True)
    return path.resolve()


@asynccontextmanager
async def exclusive(lock_file: Path) -> AsyncGenerator[None]:
    """Hold a file lock: two processes that need the same download make one. Waits as long as it takes."""
    lock_file.parent.mkdir(parents=True, exist_ok=True)
    with lock_file.open("a") as handle:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                await asyncio.sleep(_POLL_SECONDS)
            else:
                break
        yield
