"""Where the numbers of an answer are from: history while it answers, else our own last snapshots, and saying so."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from bot import texts
from bot.logsvc import History, Refused
from bot.queues.snapshots import Snapshots
from bot.queues.state import QueueState, from_snapshot
from tocsin.breakers import Unavailable


@dataclass(frozen=True)
class Numbers:
    """Queues, and a note for people if they are not from where they should be.

    is_whole: whether a queue that is not among them is not there.
    """

    queues: list[QueueState]
    note: str = ""
    is_whole: bool = True


class Ledger:
    """Asks history first."""

    def __init__(self, history: History, snapshots: Snapshots) -> None:
        self._history = history
        self._snapshots = snapshots

    async def queues(self) -> Numbers:
        """Every queue, always: within the deadline of history plus nothing."""
        try:
            found = await self._history.queues()
        except (Unavailable, Refused) as failure:
            return replace(self.own(), note=f"{why(failure)} {texts.OWN_NUMBERS}")
        return Numbers(newest([*found, *self._own()]))

    def own(self) -> Numbers:
        """The queues from our own snapshots."""
        return Numbers(self._own(), is_whole=self._snapshots.has_caught_up)

    def _own(self) -> list[QueueState]:
        return [from_snapshot(one) for one in self._snapshots.all()]


def why(failure: Unavailable | Refused) -> str:
    """Why history does not tell, for people."""
    return texts.HISTORY_REFUSES.format(status=failure.status) if isinstance(failure, Refused) else texts.HISTORY_AWAY


def newest(states: Iterable[QueueState]) -> list[QueueState]:
    """Each queue once, in its newest state: history may lag behind what we have read ourselves."""
    chosen: dict[tuple[str, str], QueueState] = {}
    for one in states:
        known = chosen.get((one.source, one.queue))
        if known is None or one.as_of_ms > known.as_of_ms:
            chosen[one.source, one.queue] = one
    return list(chosen.values())
