"""The sandbox's memory on disk: one JSON line per record, replayed at the start, rewritten when it has grown.

A line is handed to the operating system before the call that caused it is answered, so it outlives the process (not a
power cut). A last line cut short by a kill is dropped: its call was never answered.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from tocsin.sandbox.records import Record

GROWTH = 4
SMALL_BYTES = 1 << 20
"""The file is rewritten once it is GROWTH times what a snapshot needed, but never while below this size."""


class BrokenJournal(RuntimeError):
    """A line in the middle of the journal cannot be read; nothing was changed."""


class Journal:
    """Append-only file in a folder of its own. Call `replay` once, then `compact`, then `append`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.files = folder / "files"
        self.files.mkdir(exist_ok=True)
        self._path = folder / "journal.jsonl"
        self._decoder = msgspec.json.Decoder(Record)
        self._encoder = msgspec.json.Encoder()
        self._out = None
        self._bytes = 0
        self._rewrite_at = SMALL_BYTES

    def replay(self) -> Iterator[Record]:
        """Yield the records of earlier runs in order; raise BrokenJournal if one in the middle is damaged."""
        if not self._path.exists():
            return
        lines = self._path.read_bytes().split(b"\n")
        for number, line in enumerate(lines[:-1], start=1):
            try:
                yield self._decoder.decode(line)
            except msgspec.MsgspecError as error:
                what = f"{self._path}, line {number}: {error}. Move the file away to begin anew."
                raise BrokenJournal(what) from error

    def append(self, records: Iterable[Record]) -> None:
        """Write records; they are the operating system's when this returns."""
        if self._out is None:
            self._out = self._path.open("ab")
        lines = b"".join(self._encoder.encode(record) + b"\n" for record in records)
        self._out.write(lines)
        self._out.flush()
        self._bytes += len(lines)

    @property
    def has_grown(self) -> bool:
        return self._bytes > self._rewrite_at

    def compact(self, snapshot: Iterable[Record]) -> None:
        """Replace the file by a snapshot, in one step."""
        self.close()
        fresh = self._path.with_suffix(".new")
        with fresh.open("wb") as out:
            for record in snapshot:
                out.write(self._encoder.encode(record) + b"\n")
            out.flush()
            os.fsync(out.fileno())
        fresh.replace(self._path)
        self._bytes = self._path.stat().st_size
        self._rewrite_at = max(SMALL_BYTES, GROWTH * self._bytes)

    def close(self) -> None:
        if self._out is not None:
            self._out.close()
            self._out = None
