"""How many questions each person may have under way in one replica: who asks more is turned away, and nobody else."""

from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager

from logsvc.auth.who import Denied, Who

AT_ONCE_EACH = 20
"""Each asks ClickHouse three things at a time at most, which is less than may wait there (logsvc/store.py)."""
RETRY_SECONDS = 5


class Questions:
    """Those under way. The bot, which asks for many people, and whoever is alone on this machine are not held up."""

    def __init__(self) -> None:
        self._under_way: Counter[str] = Counter()

    @contextmanager
    def one_more(self, who: Who) -> Generator[None]:
        """Count one until the block ends. Raises Denied (429)."""
        if who.kind in ("service", "local"):
            yield
            return
        if self._under_way[who.user_id] >= AT_ONCE_EACH:
            raise Denied(429, f"{AT_ONCE_EACH} questions of yours are under way; wait for one to end", RETRY_SECONDS)
        self._under_way[who.user_id] += 1
        try:
            yield
        finally:
            self._under_way -= Counter([who.user_id])  # forgets who has none left
