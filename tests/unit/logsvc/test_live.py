"""The live stream without a network: filters, ring, hub, viewers."""

import json
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from logsvc.cursors import pack_position
from logsvc.errors import BadRequest
from logsvc.live.filter import Filter, parse_filter, subject_of
from logsvc.live.hub import Hub
from logsvc.live.ring import Entry, Ring
from logsvc.live.viewer import MOST_ROWS, Frame, Viewer
from logsvc.metrics import Metrics
from logsvc.places import Place
from tests.unit.logsvc.records import NOW_MS, event, line
from tocsin.events import JobEvent, LogLine, encode

JOBS = Place("t.jobs", 0)
LOGS = Place("t.logs", 0)
START = {JOBS: 0, LOGS: 0}


def entry(offset: int, place: Place = JOBS, **fields: Any) -> Entry:
    record: JobEvent | LogLine = event(offset, **fields) if place == JOBS else line(offset, **fields)
    return Entry(place, offset, NOW_MS + offset, encode(record), type(record))


def make_hub(rows: int = 10_000) -> Hub:
    hub = Hub(Ring(rows, 10_000_000), Metrics(CollectorRegistry()))
    hub.begin("c", START)
    return hub


def watch(hub: Hub, after: str = "", **asked: str) -> tuple[Viewer, bool]:
    viewer = Viewer(parse_filter(asked))
    return viewer, hub.watch(viewer, after)


def hand_out(hub: Hub, *entries: Entry) -> None:
    hub.publish(entries)
    watch(hub)  # a newcomer makes the hub hand out what has arrived


def seen(viewer: Viewer) -> list[str]:
    ids: list[str] = []
    while frame := viewer.take(NOW_MS):
        ids += [row["id"] for row in json.loads(frame.encode())["rows"]]
    return ids


@pytest.mark.parametrize(
    ("asked", "matches"),
    [
        ({}, True),
        ({"queue": "orders"}, True),
        ({"queue": "mail, orders"}, True),
        ({"queue": "mail"}, False),
        ({"level": "error", "kind": "event"}, True),
        ({"level": "error", "kind": "log"}, False),
        ({"state": "failed", "job_id": "7", "env": "prod", "source": "main"}, True),
        ({"service": "bridge"}, False),
        ({"q": "ECONN"}, True),
        ({"q": "CHARGE"}, True),
        ({"q": "nothing"}, False),
        ({"unknown": "x"}, True),
    ],
)
def test_a_filter_asks_for_any_of_its_values_and_all_of_its_keys(asked: dict[str, str], matches: bool) -> None:
    subject = subject_of(event(7, event="failed", state="failed", error="econnrefused", job_name="Charge"))
    assert parse_filter(asked).matches(subject) is matches


@pytest.mark.parametrize(
    "asked", [{"queue": 5}, {"q": ["x"]}, {"q": "x" * 1001}, {"queue": ",".join(map(str, range(201)))}]
)
def test_a_filter_that_is_too_much_or_no_text_is_refused(asked: dict[str, object]) -> None:
    with pytest.raises(BadRequest):
        parse_filter(asked)


def test_a_viewer_gets_what_matches_and_only_what_is_new() -> None:
    hub = make_hub()
    hub.publish([entry(0)])
    viewer, is_whole = watch(hub, queue="orders")
    hand_out(hub, entry(1), entry(2, queue="mail"), entry(3))
    assert is_whole
    assert seen(viewer) == ["main:orders:0:1-0", "main:orders:0:3-0"]


def test_viewers_with_one_filter_share_their_rows() -> None:
    hub = make_hub()
    one, _ = watch(hub)
    other, _ = watch(hub)
    hand_out(hub, entry(1))
    first, second = one.take(NOW_MS), other.take(NOW_MS)
    assert first
    assert second
    assert first.rows[0] is second.rows[0]


def test_a_slow_viewer_misses_the_oldest_and_is_told_how_many() -> None:
    hub = make_hub()
    slow, _ = watch(hub)
    for tick in range(6):
        hand_out(hub, *[entry(tick * 500 + n) for n in range(500)])
    frame = slow.take(NOW_MS + 5000)
    assert frame
    assert frame.dropped == 3000 - MOST_ROWS
    assert frame.matched == len(frame.rows) + frame.dropped
    assert frame.lag_ms == 5000 - 1000
    rest = seen(slow)
    assert len(frame.rows) + len(rest) == MOST_ROWS
    assert rest[-1].endswith(":2999-0")


def test_a_pause_holds_rows_back_and_counts_what_does_not_fit() -> None:
    hub = make_hub()
    viewer, _ = watch(hub)
    viewer.pause(True)
    for tick in range(5):
        hand_out(hub, *[entry(tick * 500 + n) for n in range(500)])
    assert viewer.take(NOW_MS) is None
    viewer.pause(False)
    assert viewer.arrived.is_set()
    frame = viewer.take(NOW_MS)
    assert frame
    assert frame.dropped == 500


def test_a_viewer_comes_back_without_a_hole_or_a_double() -> None:
    hub = make_hub()
    first, _ = watch(hub)
    hand_out(hub, entry(0), entry(1), entry(0, LOGS))
    frame = first.take(NOW_MS)
    assert frame
    hub.leave(first)
    hand_out(hub, entry(2), entry(1, LOGS))
    again, is_whole = watch(hub, frame.cursor)
    hand_out(hub, entry(3))
    assert is_whole
    assert seen(again) == ["main:orders:0:2-0", "main:orders:1:l", "main:orders:0:3-0"]


def test_a_viewer_from_a_replica_that_was_further_on_sees_nothing_twice() -> None:
    hub = make_hub()
    ahead = pack_position("c", {JOBS: 3, LOGS: 0})
    viewer, is_whole = watch(hub, ahead)
    hand_out(hub, entry(1), entry(2))
    hand_out(hub, entry(3))
    assert is_whole
    assert seen(viewer) == ["main:orders:0:3-0"]


def test_a_return_after_more_than_the_ring_holds_is_a_gap() -> None:
    hub = make_hub(rows=10)
    start = hub.cursor
    hand_out(hub, *[entry(n) for n in range(25)])
    viewer, is_whole = watch(hub, start)
    assert not is_whole
    assert len(seen(viewer)) == 10


def test_a_cursor_of_another_cluster_is_a_gap_and_a_broken_one_refused() -> None:
    hub = make_hub()
    _, is_whole = watch(hub, pack_position("another", START))
    assert not is_whole
    with pytest.raises(BadRequest):
        watch(hub, "nonsense")


def test_a_record_that_cannot_be_read_is_left_out() -> None:
    hub = make_hub()
    viewer, _ = watch(hub)
    hand_out(hub, entry(1), Entry(JOBS, 2, NOW_MS, b"{", JobEvent), entry(3))
    assert seen(viewer) == ["main:orders:0:1-0", "main:orders:0:3-0"]


def test_the_ring_is_bounded_by_bytes_too() -> None:
    ring = Ring(1_000_000, 5_000)
    ring.begin(START)
    for offset in range(100):
        ring.add(entry(offset))
    assert ring.bytes <= 5_000
    assert not ring.holds_all_since(START)


def test_a_new_filter_counts_from_now_on() -> None:
    hub = make_hub()
    viewer, _ = watch(hub, queue="mail")
    hand_out(hub, entry(1))
    hub.refilter(viewer, Filter())
    hand_out(hub, entry(2))
    assert seen(viewer) == ["main:orders:0:2-0"]
    assert hub.viewers == 3  # two newcomers made the hub hand out


def test_a_frame_is_json_in_the_agreed_words() -> None:
    assert json.loads(Frame([b'{"id":"1"}'], "cur", 2, 3, 85).encode()) == {
        "type": "rows",
        "rows": [{"id": "1"}],
        "cursor": "cur",
        "dropped": 2,
        "matched": 3,
        "lag_ms": 85,
    }
