"""The live stream without a network: filters, ring, hub, viewers."""

import asyncio
import json
from collections.abc import Mapping
from contextlib import ExitStack, aclosing
from typing import Any
from urllib.parse import urlencode

import pytest
from prometheus_client import CollectorRegistry

from logsvc.cursors import TailPosition, pack_position, unpack_position
from logsvc.errors import BadRequest
from logsvc.live.asgi import messages
from logsvc.live.crowd import Crowd, Crowded
from logsvc.live.filter import Filter, parse_filter, subject_of
from logsvc.live.hub import SKEW_MS, Hub
from logsvc.live.past import Archive
from logsvc.live.ring import Entry, Ring
from logsvc.live.session import Session, parameters
from logsvc.live.viewer import HIDDEN, SEEN, Chunk, Frame, Viewer
from logsvc.metrics import Metrics
from logsvc.partitions import Place
from logsvc.settings import LogsvcSettings
from tests.unit.logsvc.records import NOW_MS, event, line
from tocsin.events import JobEvent, LogLine, encode
from tocsin.settings import read
from tocsin.times import rfc3339

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
    """A viewer that has joined, and whether the ring had all it missed."""
    viewer = Viewer(parse_filter(asked))
    seen = hub.position_of(after) if after else None
    if after and (seen is None or not hub.holds(seen)):
        hub.join(viewer, hub.skip(viewer, seen))
        return viewer, False
    hub.join(viewer, seen)
    return viewer, True


def hand_out(hub: Hub, *entries: Entry, reached: Mapping[Place, int] | None = None) -> None:
    hub.publish(entries, reached or {})
    watch(hub)  # a newcomer makes the hub hand out what has arrived


def seen(viewer: Viewer) -> list[str]:
    ids: list[str] = []
    while frame := viewer.take(NOW_MS):
        ids += [row["id"] for row in map(json.loads, frame.rows)]
    return ids


@pytest.mark.parametrize(
    ("asked", "matches"),
    [
        ({}, True),
        ({"queue": "orders"}, True),
        ({"queue": ["mail", "orders"]}, True),
        ({"queue": "mail,orders"}, False),
        ({"queue": ""}, True),
        ({"level": "error, warn"}, True),
        ({"level": ["warn", "info,error"]}, True),
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
def test_a_filter_asks_for_any_of_its_values_and_all_of_its_keys(asked: dict[str, object], matches: bool) -> None:
    subject = subject_of(event(7, event="failed", state="failed", error="econnrefused", job_name="Charge"))
    assert parse_filter(asked).matches(subject) is matches


@pytest.mark.parametrize(
    "asked", [{"queue": 5}, {"q": [5]}, {"q": {}}, {"q": "x" * 1001}, {"queue": ["x"] * 201}, {"queue": [["x"]]}]
)
def test_a_filter_that_is_too_much_or_no_text_is_refused(asked: dict[str, object]) -> None:
    with pytest.raises(BadRequest):
        parse_filter(asked)


@pytest.mark.parametrize("name", ["a,b", " a ", ",", "a"])
def test_a_name_is_taken_as_it_is(name: str) -> None:
    hub = make_hub()
    viewer = Viewer(parse_filter(parameters(urlencode({"queue": name}).encode())))
    hub.join(viewer)
    hand_out(hub, *[entry(n, queue=queue) for n, queue in enumerate(["a,b", " a ", ",", "a", "b"])])
    frame = viewer.take(NOW_MS)
    assert frame
    assert [json.loads(row)["queue"] for row in frame.rows] == [name]


def test_a_viewer_gets_what_matches_and_only_what_is_new() -> None:
    hub = make_hub()
    hub.publish([entry(0)], {})
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
    assert isinstance(frame, Frame)
    assert frame.dropped == 3000 - SEEN.most_rows
    assert frame.matched == len(frame.rows) + frame.dropped
    assert frame.lag_ms == 5000 - 1000
    rest = seen(slow)
    assert len(frame.rows) + len(rest) == SEEN.most_rows
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


def test_a_cursor_that_is_ahead_though_we_read_on_is_of_a_topic_made_anew() -> None:
    hub = make_hub()
    ahead = pack_position("c", {JOBS: 3, LOGS: 0}, NOW_MS)
    for as_of_ms, is_known in ((NOW_MS, True), (NOW_MS + SKEW_MS, True), (NOW_MS + SKEW_MS + 1, False)):
        hub.as_of_ms = as_of_ms
        assert (hub.position_of(ahead) is not None) == is_known
    viewer, is_whole = watch(hub, ahead)
    hand_out(hub, entry(1))
    assert (is_whole, seen(viewer)) == (False, ["main:orders:0:1-0"])
    assert hub.position_of(pack_position("c", {JOBS: 1, LOGS: 0}, NOW_MS)) is not None


def test_a_return_after_more_than_the_ring_holds_is_a_gap() -> None:
    hub = make_hub(rows=10)
    start = hub.cursor
    hand_out(hub, *[entry(n) for n in range(25)])
    viewer, is_whole = watch(hub, start)
    assert not is_whole
    gap = viewer.take(NOW_MS)
    assert gap
    told = json.loads(gap.encode())
    assert (told["type"], told["count"], told["to"]) == ("gap", None, rfc3339(NOW_MS + 15))
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
    nobody_knows_when = Entry(JOBS, 3, NOW_MS, encode(event(3, ts=10**15)), JobEvent)
    hand_out(hub, entry(1), Entry(JOBS, 2, NOW_MS, b"{", JobEvent), nobody_knows_when, entry(4))
    assert seen(viewer) == ["main:orders:0:1-0", "main:orders:0:4-0"]


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


def test_a_frame_is_json_in_the_agreed_words() -> None:
    assert json.loads(Frame([Chunk([b'{"id":"1"}'], NOW_MS - 85, "cur")], 2, NOW_MS).encode()) == {
        "type": "rows",
        "rows": [{"id": "1"}],
        "cursor": "cur",
        "dropped": 2,
        "matched": 3,
        "lag_ms": 85,
    }


def test_a_burst_is_cut_into_frames_and_what_is_too_much_is_counted() -> None:
    hub = make_hub()
    viewer, _ = watch(hub)
    hand_out(hub, *[entry(n, data="x" * 20_000) for n in range(400)])
    frames: list[Any] = []
    while frame := viewer.take(NOW_MS):
        frames.append(frame)
    assert all(sum(map(len, frame.rows)) <= SEEN.frame_bytes for frame in frames)
    assert sum(len(row) for frame in frames for row in frame.rows) <= SEEN.most_bytes
    assert sum(len(frame.rows) + frame.dropped for frame in frames) == 400
    assert frames[0].dropped > 100
    _, is_whole = watch(hub, frames[0].cursor)
    assert is_whole


def test_each_frame_of_a_burst_leads_to_where_the_next_begins() -> None:
    hub = make_hub()
    viewer, _ = watch(hub)
    hand_out(hub, *[entry(n, data="x" * 10_000) for n in range(90)])
    told = 0
    while frame := viewer.take(NOW_MS):
        told += len(frame.rows)
        again, is_whole = watch(hub, frame.cursor)
        assert is_whole
        assert len(seen(again)) == 90 - told
    assert told == 90


def test_a_viewer_who_was_further_on_is_like_any_other_once_the_tail_is_there() -> None:
    hub = make_hub()
    viewer, _ = watch(hub, pack_position("c", {JOBS: 3, LOGS: 0}))
    assert viewer.after == {JOBS: 3}
    hand_out(hub, entry(1))
    assert unpack_position("c", hub.cursor_of(viewer)) == TailPosition({JOBS: 3, LOGS: 0})
    hand_out(hub, entry(2), entry(3))
    assert viewer.after == {}
    assert seen(viewer) == ["main:orders:0:3-0"]


def test_viewers_are_told_when_the_stream_begins_anew() -> None:
    hub = make_hub()
    viewer, _ = watch(hub, pack_position("c", {JOBS: 30, LOGS: 0}))
    hub.begin("c", START)
    hand_out(hub, entry(1))
    gap = viewer.take(NOW_MS)
    assert gap
    assert json.loads(gap.encode())["type"] == "gap"
    assert seen(viewer) == ["main:orders:0:1-0"]


def test_a_gap_is_told_though_what_followed_was_too_much() -> None:
    hub = make_hub(rows=10)
    start = hub.cursor
    hand_out(hub, *[entry(n) for n in range(25)])
    viewer, _ = watch(hub, start)
    for tick in range(1, 7):
        hand_out(hub, *[entry(tick * 500 + n) for n in range(500)])
    gap = viewer.take(NOW_MS)
    assert gap
    assert json.loads(gap.encode())["type"] == "gap"
    frame = viewer.take(NOW_MS)
    assert frame
    assert frame.dropped > 0


def test_the_cursor_stands_behind_the_marker_of_a_transaction() -> None:
    """Another process begins there: a cursor in front of it would look like a hole."""
    hub = make_hub()
    viewer, _ = watch(hub)
    hand_out(hub, entry(1), reached={JOBS: 3})
    frame = viewer.take(NOW_MS)
    assert frame
    other = make_hub()
    other.begin("c", {JOBS: 3, LOGS: 0})
    assert watch(other, frame.cursor)[1]
    hand_out(hub, reached={LOGS: 5})
    other.begin("c", {JOBS: 3, LOGS: 5})
    assert watch(other, hub.cursor_of(viewer))[1]


def session(hub: Hub, metrics: Metrics, after: str = "", **asked: str) -> Session:
    """A session whose past is in the ring, if anywhere."""
    nothing_there = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "CLICKHOUSE_URL": "chdb:///x", "LOGSVC_RESUME_ROWS": "0"}
    settings = read(LogsvcSettings, nothing_there)
    past = Archive(settings).past(hub, hub.position_of(after)) if after else None
    return Session(hub, metrics, parse_filter(asked), after, past)


async def test_a_viewer_without_a_match_can_resume_from_hello_and_from_each_ping(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("logsvc.live.session.PING_SECONDS", 0.01)
    hub = make_hub(rows=10)
    stay = session(hub, Metrics(CollectorRegistry()), queue="nobody's")
    frames = stay.frames()
    hello, cursor = await anext(frames)
    assert json.loads(hello)["cursor"] == cursor == hub.cursor
    hand_out(hub, *[entry(n) for n in range(50)])
    ping, cursor = await anext(frames)
    assert (json.loads(ping)["type"], json.loads(ping)["cursor"]) == ("ping", cursor)
    assert watch(hub, cursor)[1]
    stay.viewer.pause(True)
    hub.refilter(stay.viewer, Filter())
    hand_out(hub, entry(60))
    ping, cursor = await anext(frames)
    assert (json.loads(ping)["type"], cursor) == ("ping", "")
    await frames.aclose()


async def test_who_leaves_before_it_heard_of_a_gap_hears_of_it_when_it_is_back() -> None:
    hub = make_hub(rows=10)
    before = hub.position_of(hub.cursor)
    assert before
    start = pack_position("another", START)
    hand_out(hub, *[entry(n) for n in range(50)])
    stay = session(hub, Metrics(CollectorRegistry()), after=start)
    frames = stay.frames()
    assert (await anext(frames))[1] == start
    gap, cursor = await anext(frames)
    assert json.loads(gap)["type"] == "gap"
    again, is_whole = watch(hub, cursor)
    assert is_whole
    assert len(seen(again)) == 10
    await frames.aclose()


async def test_what_was_missed_comes_in_slices_and_then_what_is_new() -> None:
    hub = make_hub()
    start = hub.cursor
    hand_out(hub, *[entry(n) for n in range(1_700)])
    stay = session(hub, Metrics(CollectorRegistry()), after=start, queue="orders")
    got: list[str] = []
    async with aclosing(stay.frames()) as frames:
        async for frame, _ in frames:
            got += [row["id"] for row in json.loads(frame).get("rows", ())]
            if len(got) == 1_000:
                hand_out(hub, entry(1_700))
            if len(got) == 1_701:
                break
    assert got == [f"main:orders:0:{n}-0" for n in range(1_701)]


@pytest.mark.parametrize("is_hidden", [False, True])
async def test_nothing_of_what_was_missed_is_dropped_however_large_the_rows_are(
    monkeypatch: pytest.MonkeyPatch, is_hidden: bool
) -> None:
    monkeypatch.setattr("logsvc.live.session.FRAME_SECONDS", 0)
    monkeypatch.setattr("logsvc.live.session.HIDDEN_SECONDS", 3600)
    hub = make_hub()
    start = hub.cursor
    hand_out(hub, *[entry(n, data="x" * 16_000) for n in range(300)])
    hub.publish([entry(n, data="x" * 16_000) for n in range(300, 400)], {})
    stay = session(hub, Metrics(CollectorRegistry()), after=start)
    stay.viewer.hide(is_hidden)
    got: list[str] = []
    async with aclosing(stay.frames()) as frames:
        async for frame, _ in frames:
            told = json.loads(frame)
            assert not told.get("dropped")
            got += [row["id"] for row in told.get("rows", ())]
            if len(got) >= 400:
                break
    assert got == [f"main:orders:0:{n}-0" for n in range(400)]


async def test_what_the_ring_forgets_just_then_is_a_gap() -> None:
    hub = make_hub(rows=10)
    start = hub.cursor
    hand_out(hub, *[entry(n) for n in range(10)])
    stay = session(hub, Metrics(CollectorRegistry()), after=start)
    frames = stay.frames()
    assert (await anext(frames))[1] == start
    hub.publish([entry(n) for n in range(10, 15)], {})
    assert json.loads((await anext(frames))[0])["type"] == "gap"
    rows = json.loads((await anext(frames))[0])["rows"]
    assert [row["id"] for row in rows] == [f"main:orders:0:{n}-0" for n in range(5, 15)]
    await frames.aclose()


def test_a_viewer_out_of_sight_gets_little_and_is_told_what_it_missed() -> None:
    hub = make_hub()
    viewer, _ = watch(hub)
    viewer.hide(True)
    for tick in range(10):
        hand_out(hub, *[entry(tick * 100 + n) for n in range(100)])
    frame = viewer.take(NOW_MS)
    assert isinstance(frame, Frame)
    assert (len(frame.rows), frame.dropped) == (HIDDEN.most_rows, 800)
    viewer.hide(False)
    hand_out(hub, *[entry(1_000 + n) for n in range(1_000)])
    frame = viewer.take(NOW_MS)
    assert isinstance(frame, Frame)
    assert (len(frame.rows), frame.dropped) == (1_000, 0)


async def test_a_viewer_that_talks_without_end_is_heard_one_message_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("logsvc.live.asgi.HEAR_SECONDS", 3600)
    taken, heard = 0, asyncio.Event()

    async def receive() -> dict[str, str]:
        nonlocal taken
        taken += 1
        return {"type": "websocket.receive", "text": '{"type":"filter"}'}

    async def hear() -> None:
        async for _ in messages(receive):
            heard.set()

    hearing = asyncio.create_task(hear())
    await heard.wait()
    done, _ = await asyncio.wait({hearing}, timeout=0)
    hearing.cancel()
    assert (done, taken) == (set(), 1)


@pytest.mark.parametrize("text", ["", "[]", '{"to":' + "[" * 60_000, "x" * 70_000])
async def test_nonsense_of_a_viewer_is_refused(text: str) -> None:
    async def receive() -> dict[str, str]:
        return {"type": "websocket.receive", "text": text}

    with pytest.raises(BadRequest):
        await anext(messages(receive))


def test_one_frame_is_encoded_once_for_all_who_get_the_same() -> None:
    hub = make_hub()
    one, _ = watch(hub, queue="orders")
    other, _ = watch(hub, queue="orders")
    hand_out(hub, entry(1), entry(2, queue="mail"))
    first, second = one.take(NOW_MS), other.take(NOW_MS)
    assert first
    assert second
    assert first.encode() is second.encode()


def test_the_crowd_is_bounded_in_all_and_for_each_address_from_outside() -> None:
    crowd = Crowd(4, 2)
    with ExitStack() as inside:
        for address in ("10.0.0.7", "10.0.0.7", "127.0.0.1"):
            inside.enter_context(crowd.one_more(address))
        with pytest.raises(Crowded, match="your address"), crowd.one_more("10.0.0.7"):
            pass
        inside.enter_context(crowd.one_more("127.0.0.1"))
        with pytest.raises(Crowded, match="too many viewers;"), crowd.one_more("127.0.0.1"):
            pass
    with crowd.one_more("10.0.0.7"), crowd.one_more("10.0.0.7"):
        pass


class StandInReplay:
    """A client that reads at once up to what the ring holds, and whose end takes until it may."""

    def __init__(self) -> None:
        self.may_end = asyncio.Event()
        self.has_ended = False

    async def open(self) -> None: ...

    async def poll(self) -> dict[Place, list[Any]]:
        return {}

    async def positions(self) -> dict[Place, int]:
        return {JOBS: 40, LOGS: 0}

    async def close(self) -> None:
        await self.may_end.wait()
        self.has_ended = True


@pytest.mark.parametrize("turns", range(1, 5))
async def test_a_viewer_who_goes_while_its_client_ends_lets_it_end(monkeypatch: pytest.MonkeyPatch, turns: int) -> None:
    """Whether it goes before that has begun, or in the midst of it."""
    replay = StandInReplay()

    def stand_in(*_: object) -> StandInReplay:
        return replay

    monkeypatch.setattr("logsvc.live.past.Replay", stand_in)
    hub = make_hub(rows=10)
    start = hub.position_of(hub.cursor)
    hand_out(hub, *[entry(n) for n in range(50)])
    settings = read(LogsvcSettings, {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "CLICKHOUSE_URL": "chdb:///x"})
    past = Archive(settings).past(hub, start)
    viewer = Viewer(Filter())
    assert await past.offer_more(viewer)
    watching = asyncio.create_task(past.offer_more(viewer))
    for _ in range(turns):
        await asyncio.sleep(0)
    assert not watching.done()
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    replay.may_end.set()
    await past.close()
    assert replay.has_ended
