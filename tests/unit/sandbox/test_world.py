"""The world is what its records say, however often it is written down and read again."""

from pathlib import Path

import pytest

from tocsin.sandbox.chats import Chat, User
from tocsin.sandbox.hub import Sandbox
from tocsin.sandbox.journal import SMALL_BYTES, BrokenJournal, Journal
from tocsin.sandbox.options import SandboxOptions
from tocsin.sandbox.records import AddUpdate, ConfirmUpdates, DropMessage, PutChat, PutMessage, PutUser, Record
from tocsin.sandbox.state import KEPT_MESSAGES, UPDATE_LIFETIME_SECONDS, World

GROUP, FORUM = -5, -1_000_000_000_009


def message(chat_id: int, message_id: int, text: str = "x") -> PutMessage:
    return PutMessage({"message_id": message_id, "chat": {"id": chat_id}, "text": text}, silent=message_id % 2 == 0)


def told(records: list[Record]) -> World:
    world = World()
    for record in records:
        world.apply(record)
    return world


START: list[Record] = [
    PutUser(User(id=5, first_name="Ann")),
    PutChat(Chat(id=5, type="private")),
    PutChat(Chat(id=GROUP, type="group")),
    PutChat(Chat(id=FORUM, type="supergroup", members={5: "creator"})),
]


def test_a_snapshot_rebuilds_the_world():
    records = [
        *START,
        message(5, 1),
        message(5, 2),
        message(5, 1, "edited"),
        DropMessage(5, 2),
        AddUpdate(7, "message", {"x": 1}, 0.5),
        AddUpdate(8, "message", {"x": 2}, 0.5),
        ConfirmUpdates(8),
    ]
    world = told(records)
    again = told(list(world.snapshot()))
    assert list(again.snapshot()) == list(world.snapshot())
    assert again.next_message_id(world.chats[5]) == 3
    assert again.next_update_id() == 9


def test_supergroups_count_their_messages_apart():
    world = told([*START, message(5, 1), message(GROUP, 2), message(FORUM, 1)])
    assert [world.next_message_id(world.chats[chat]) for chat in (5, GROUP, FORUM)] == [3, 3, 2]


def test_old_updates_and_too_many_messages_are_forgotten():
    world = told([*START, AddUpdate(1, "message", {}, 0), AddUpdate(2, "message", {}, 10)])
    assert [each.update_id for each in world.pending(0, 100, UPDATE_LIFETIME_SECONDS)] == [2]
    for number in range(1, KEPT_MESSAGES + 3):
        world.apply(message(5, number))
    assert list(world.messages[5])[:2] == [3, 4]
    assert len(world.silent) == KEPT_MESSAGES // 2


def test_the_journal_grows_no_further_than_needed(tmp_path: Path):
    journal = Journal(tmp_path)
    world = told(START)
    while not journal.has_grown:
        records = [message(5, 1, "x" * 10_000)]
        journal.append(records)
        world.apply(records[0])
    assert (tmp_path / "journal.jsonl").stat().st_size > SMALL_BYTES
    journal.compact(world.snapshot())
    assert (tmp_path / "journal.jsonl").stat().st_size < 20_000
    journal.append([DropMessage(5, 1)])
    journal.close()
    assert told(list(Journal(tmp_path).replay())).messages[5] == {}


def test_damage_in_the_middle_is_not_passed_over(tmp_path: Path):
    (tmp_path / "journal.jsonl").write_bytes(b'{"kind":"what"}\n{"kind":"confirmed","below":2}\n')
    with pytest.raises(BrokenJournal, match=r"line 1: .*Move the file away"):
        list(Journal(tmp_path).replay())


def test_a_sandbox_whose_data_was_thrown_away_gives_no_old_number_again(tmp_path: Path):
    def first_update(folder: str, now: float) -> int:
        sandbox = Sandbox(SandboxOptions(data=tmp_path / folder), clock=lambda: now)
        number = sandbox.update("message", {})
        sandbox.close()
        assert number is not None
        return number

    assert first_update("before", 1_000.0) < first_update("before", 1_001.0) < first_update("anew", 2_000.0)
