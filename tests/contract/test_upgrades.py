"""Releases side by side: what earlier ones wrote is read, and what this one writes was readable to the first.

`earlier/records.jsonl`: records as the bridge wrote them before the contract was extended, one a line, never changed;
whoever changes what the bridge writes adds the former sample there. `earlier/first.py`: the first release's contract,
code and all, never changed either.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bot.rules.policy import ringing
from bridge.sources.bullmq.cursors import restore
from logsvc.storable import fitted
from tests.contract.earlier import first
from tests.contract.golden import STRUCTS, Sample, sample, samples
from tocsin.events import VERSION, Cursor, JobEvent, LogLine, QueueSnapshot, SchedulerSnapshot, decode, encode


@dataclass(frozen=True)
class Earlier:
    """A record of an earlier release."""

    name: str
    struct: type[msgspec.Struct]
    fields: dict[str, Any]

    @property
    def body(self) -> bytes:
        return json.dumps(self.fields).encode()


def earlier() -> list[Earlier]:
    lines = (Path(__file__).parent / "earlier" / "records.jsonl").read_text().rstrip("\n").split("\n")
    found = [json.loads(line) for line in lines]
    return [
        Earlier(f"{number}-{one['sample']}", STRUCTS[one["sample"].partition(".")[0]], one["record"])
        for number, one in enumerate(found)
    ]


EARLIER = earlier()
OF_FIRST: dict[str, type[msgspec.Struct]] = {
    name: getattr(first, struct.__name__) for name, struct in STRUCTS.items() if hasattr(first, struct.__name__)
}
READ_BY_FIRST = [one for one in samples() if one.name.partition(".")[0] in OF_FIRST]
STORED = (JobEvent, LogLine, QueueSnapshot, SchedulerSnapshot)
ALL = pytest.mark.parametrize("one", EARLIER, ids=[one.name for one in EARLIER])


@ALL
def test_what_earlier_releases_wrote_is_read_and_what_it_lacks_has_its_default(one: Earlier) -> None:
    record = decode(one.struct, one.body)
    assert json.loads(encode(record)) == one.fields
    lacking = [field for field in msgspec.structs.fields(one.struct) if field.encode_name not in one.fields]
    assert not [field.name for field in lacking if field.required]
    for field in lacking:
        default = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
        assert getattr(record, field.name) == default


@pytest.mark.parametrize("one", READ_BY_FIRST, ids=[one.name for one in READ_BY_FIRST])
def test_what_this_release_writes_was_readable_to_the_first(one: Sample) -> None:
    record = first.decode(OF_FIRST[one.name.partition(".")[0]], one.body)
    told: dict[str, Any] = json.loads(first.encode(record))
    assert told == {name: value for name, value in one.fields.items() if name in record.__struct_fields__}


@ALL
def test_what_earlier_releases_wrote_is_stored_as_it_is(one: Earlier) -> None:
    if issubclass(one.struct, STORED):
        assert fitted(one.struct, one.body)[1] == one.body


def test_failures_of_earlier_releases_ring() -> None:
    failed = [decode(JobEvent, one.body) for one in EARLIER if one.name.endswith("job_event.failed-finally")]
    assert failed
    assert all(ringing(event) for event in failed)


def test_a_bridge_goes_on_from_the_cursors_of_an_earlier_one() -> None:
    [cursor] = [decode(Cursor, one.body) for one in EARLIER if one.name.endswith("cursor.queue")]
    restored = restore(cursor.site, cursor.source, "", {b"main:main:emails": encode(cursor)})
    [position] = restored.positions.values()
    assert (position.last_id, position.pos, position.epoch) == (cursor.last_id, cursor.pos, cursor.epoch)
    assert restored.damaged == set()


def test_a_bridge_takes_the_cursor_of_a_later_major_for_none_it_could_begin_at() -> None:
    later = sample("cursor.queue").changed(v=VERSION + 1)
    restored = restore("main", "main", "", {b"main:main:emails": later})
    assert restored.positions == {}
    assert restored.damaged == {"emails"}
