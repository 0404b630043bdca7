"""What Redis answers about a stream, and what is asked."""

import pytest

from bridge.errors import SourceUnavailable
from bridge.sources.bullmq.door import Refused, Reply
from bridge.sources.bullmq.stream import Info, Position, advance
from bridge.sources.bullmq.wire import Unreadable, entries_of, follow, follow_command, parse, read_commands
from tests.unit.bridge.entries import entry_of

START = Position()


def test_reply_is_parsed_and_bytes_that_are_no_text_are_replaced() -> None:
    info = [b"length", 2, b"last-generated-id", b"5-1", b"max-deleted-entry-id", b"0-0", b"entries-added", 9]
    first = [b"first-entry", [b"4-0", [b"event", b"x"]]]
    read = [[b"bull:q:events", [[b"5-1", [b"event", b"\xff\xfe", b"odd"]]]]]
    parsed, (entry,) = parse(START, [b"OK", b"QUEUED", b"QUEUED", [[*info, *first], read]])

    assert parsed == Info(2, "5-1", 9, "4-0")
    assert (entry.id, entry.fields, entry.event, entry.ts) == ("5-1", {"event": "��"}, "��", 5)
    assert entries_of([[b"7-0", []]]) == [entry_of("7-0", {})]


def test_texts_are_parsed_like_bytes() -> None:
    raw = [b"1700000000000-12", [b"event", b"waiting", b"jobId", b"7"]]
    assert entries_of([["1700000000000-12", ["event", "waiting", "jobId", "7"]]]) == entries_of([raw])
    info = [b"length", 0, b"last-generated-id", b"5-1", b"max-deleted-entry-id", b"5-1", b"entries-added", 1]
    texts = [word.decode() if isinstance(word, bytes) else word for word in info]
    assert parse(START, ["OK", "", "", [texts, None]]) == parse(START, [b"OK", b"", b"", [info, None]])


def test_absent_key_is_no_stream_and_a_refused_one_is_unreadable() -> None:
    assert parse(START, [b"OK", b"", b"", [Refused("ERR no such key"), None]]) == (None, [])
    wrong = Refused("WRONGTYPE Operation against a key holding the wrong kind of value")
    with pytest.raises(Unreadable):
        parse(START, [b"OK", b"", b"", [wrong, wrong]])
    with pytest.raises(Unreadable):
        parse(START, [b"OK", Refused("NOPERM no"), b"", Refused("EXECABORT")])
    with pytest.raises(SourceUnavailable):
        parse(START, [b"OK", b"", b"", [Refused("LOADING Redis is loading"), None]])


def test_both_commands_run_in_one_transaction() -> None:
    names = [command[0] for command in read_commands("k", Position("3-0"), 7)]
    assert names == ["MULTI", "XINFO", "XREAD", "EXEC"]


@pytest.mark.parametrize(
    ("last_id", "before"), [("5-3", "5-2"), ("5-0", f"4-{2**64 - 1}"), ("0-1", "0-0"), ("0-0", "0-0")]
)
def test_read_begins_with_the_last_entry_passed_which_is_not_told_again(last_id: str, before: str) -> None:
    position = Position(last_id)
    assert read_commands("k", position, 7)[2] == ("XREAD", "COUNT", 8, "STREAMS", "k", before)
    info = ["length", 9, "last-generated-id", "9-0", "entries-added", 9]
    for ids in ([last_id, "9-0"], ["9-0"], []):
        raws = [[id, ["event", "drained"]] for id in ids]
        found, entries = parse(position, ["OK", "", "", [info, [["k", raws]] if raws else None]])
        assert found is not None
        assert found.holds_last == (last_id in ids)
        assert [entry.id for entry in entries] == [id for id in ids if id != last_id]


def xread(*ids: str) -> Reply:
    return [["k", [[id, ["event", "drained"]] for id in ids]]] if ids else None


def test_stream_whose_last_entry_is_there_is_followed_by_one_command() -> None:
    position = Position("5-3", pos=9)
    assert follow_command("k", position, 2) == ("XREAD", "COUNT", 4, "STREAMS", "k", "5-2")
    for ids in ([], ["6-0", "6-1"], ["6-0", "6-1", "7-0"]):
        found = follow(position, xread("5-3", *ids), 2)
        assert found is not None
        reading = advance(position, *found, 2)
        assert [entry.id for entry in reading.entries] == ids[:2]
        assert reading.is_full == (len(ids) > 2)
        assert (reading.lost, reading.position.pos) == (0, 9 + len(ids[:2]))


@pytest.mark.parametrize("reply", [xread(), xread("5-4"), Refused("WRONGTYPE no stream"), []])
def test_where_the_last_entry_is_missing_only_a_whole_read_tells(reply: Reply) -> None:
    assert follow(Position("5-3", pos=9), reply, 2) is None
