"""What is written as a cursor is read again, each source and site for itself."""

from hypothesis import given
from hypothesis import strategies as st

from bridge.sources.bullmq.cursors import log_cursor, other_sites, queue_cursor, restore, scan_cursor
from bridge.sources.bullmq.logs.place import LogPlace
from bridge.sources.bullmq.stream import Position

NAMES = st.text(st.characters(exclude_characters=":", exclude_categories=["Cs"]), min_size=1, max_size=20)
IDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
STREAM_IDS = st.builds("{}-{}".format, st.integers(0, 2**63), st.integers(0, 9))
POSITIONS = st.builds(Position, STREAM_IDS, st.integers(0, 2**53), st.integers(1, 99), STREAM_IDS, st.booleans())


@given(NAMES, IDS, POSITIONS, st.integers(0, 2**53), st.binary(max_size=128))
def test_positions_lines_and_scans_come_back(
    queue: str, job_id: str, position: Position, number: int, last: bytes
) -> None:
    written = [
        queue_cursor("eu", "main", queue, position, 1),
        log_cursor("eu", "main", queue, job_id, LogPlace(number, last, None), 1),
        scan_cursor("eu", "main", "all", number, 7),
    ]
    restored = restore("eu", "main", "all", {key: value for key, value in written if value is not None})

    assert restored.positions == {queue: position}
    assert restored.log_places == {queue: {job_id: LogPlace(number, last, number)}}
    assert (restored.scanned_ms, restored.past_epoch) == (number or None, 7)


def test_other_sources_and_sites_are_left_alone() -> None:
    values = dict(
        [queue_cursor("eu", "main", "q", Position("1-1", 1), 1), queue_cursor("us", "main", "q", Position(), 1)]
    )

    assert restore("eu", "mai", "all", values).positions == {}
    assert restore("eu", "main", "all", values).positions == {"q": Position("1-1", 1)}


def test_source_of_another_site_that_has_the_same_name_is_found() -> None:
    cursors = [
        queue_cursor(site, source, "q", Position(), 1) for site, source in (("eu", "a"), ("us", "a"), ("us", "b"))
    ]
    values = dict(cursors) | {b"us": b"", b"us:a": b""}

    assert other_sites("eu", "a", values) == {"us"}
    assert other_sites("us", "b", values) == set()


def test_scan_of_other_queues_says_nothing_of_these() -> None:
    values = dict([scan_cursor("eu", "main", "some", 5, 3)])

    assert restore("eu", "main", "some", values).scanned_ms == 5
    restored = restore("eu", "main", "all", values)
    assert restored.scanned_ms is None
    assert restored.past_epoch == 3, "the epochs of queues that are gone count whatever is watched"


def test_log_that_is_gone_is_a_tombstone() -> None:
    assert log_cursor("eu", "main", "q", "a:b:c", None, 1) == (b"eu:main:q:a:b:c", None)


def test_cursor_that_cannot_be_read_is_left_out() -> None:
    key, value = queue_cursor("eu", "main", "q", Position("1-1", 1), 1)
    values = {key: value, b"eu:main:bad": b"{", b"eu:main:new": value.replace(b'"v":1', b'"v":9'), b"\xff:x": b""}
    values[b"eu:main:"] = b"{"

    restored = restore("eu", "main", "all", values)
    assert restored.positions == {"q": Position("1-1", 1)}
    assert restored.damaged == {"bad", "new", ""}


def test_queue_that_is_gone_and_whose_stream_is_there_is_remembered_as_such() -> None:
    position = Position("5-1", 9, epoch=3, is_gone=True, is_paused=False)
    values = dict([queue_cursor("eu", "main", "q", position, 1)])
    assert restore("eu", "main", "all", values).positions == {"q": position}
