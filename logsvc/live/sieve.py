"""Which entries of a batch each filter wants, without asking every filter about every entry: pure."""

from collections.abc import Sequence

from logsvc.live.filter import Filter
from logsvc.live.ring import Entry
from tocsin.events import BadRecord


class Sieve:
    """A batch that many filters go through. unreadable: how many records of it can never be rows."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.unreadable = 0
        self._entries = entries
        self._readable: list[Entry] | None = None
        self._by_value: dict[str, dict[str, list[Entry]]] = {}

    def wanted(self, wanted: Filter) -> Sequence[Entry]:
        """The entries that match, in their order."""
        readable = self._read()
        if wanted.is_everything:
            return readable
        candidates = min((self._candidates(key, values) for key, values in wanted.wanted), key=len, default=readable)
        return [entry for entry in candidates if wanted.matches(entry.subject)]

    def _candidates(self, key: str, values: frozenset[str]) -> Sequence[Entry]:
        """What has one of these values; everything where two values would have to be put in order."""
        if len(values) > 1:
            return self._read()
        if key not in self._by_value:
            found: dict[str, list[Entry]] = {}
            for entry in self._read():
                found.setdefault(getattr(entry.subject, key), []).append(entry)
            self._by_value[key] = found
        [value] = values
        return self._by_value[key].get(value, ())

    def _read(self) -> list[Entry]:
        if self._readable is None:
            self._readable = []
            for entry in self._entries:
                try:
                    _ = entry.subject
                except BadRecord:
                    self.unreadable += 1
                else:
                    self._readable.append(entry)
        return self._readable
