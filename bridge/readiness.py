"""Whether this replica does its share: it is in the group, and every partition it was given is restored."""

from collections.abc import Iterable

from tocsin.health import Health

NEED = "kafka"


class Readiness:
    """Says so to Health. A replica that was given nothing has nothing to restore: it stands by, and is ready."""

    def __init__(self, health: Health) -> None:
        self._health = health
        self._missing: set[int] = set()

    def given(self, partitions: Iterable[int]) -> None:
        """The group gave us these partitions."""
        self._missing.update(partitions)
        self._tell()

    def begun(self, partition: int) -> None:
        """Its cursors are restored: it is being relayed."""
        self._missing.discard(partition)
        self._tell()

    def lost(self, partition: int) -> None:
        """Its writer was lost."""
        self._missing.add(partition)
        self._tell()

    def left(self, partition: int) -> None:
        """It is ours no more."""
        self._missing.discard(partition)
        self._tell()

    def outside(self) -> None:
        """We are in the group no more, and have none of its partitions."""
        self._missing.clear()
        self._health.lost(NEED)

    def _tell(self) -> None:
        if self._missing:
            self._health.lost(NEED)
        else:
            self._health.ok(NEED, lasting=True)
