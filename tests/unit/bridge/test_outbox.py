"""Groups stay whole and in order, memory is bounded, an end drains."""

import asyncio

import pytest

from bridge import outbox as module
from bridge.outbox import Outbox
from bridge.record import MAX_RECORD_BYTES, Record
from tests.eventually import READY_SECONDS


def refuse(record: Record) -> Record:
    return Record.of("letters", record.key, b"too big")


def group(*names: str, size: int = 0) -> list[Record]:
    return [Record.of("t", name.encode(), b"x" * size) for name in names]


async def test_groups_come_out_in_order_with_their_callbacks() -> None:
    box, told = Outbox(refuse, list[Record]), list[str]()
    await box.put(group("a", "b"), lambda: told.append("first"))
    await box.put(group("c"))
    await box.put(group("d"), lambda: told.append("second"))

    assert await box.wait()
    records, callbacks = box.take()
    assert [record.key for record in records] == [b"a", b"b", b"c", b"d"]
    for callback in callbacks:
        callback()
    assert told == ["first", "second"]


async def test_a_transaction_takes_whole_groups_and_about_so_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TRANSACTION_BYTES", 100)
    box = Outbox(refuse, list[Record])
    await box.put(group("a", "b", "c", size=60))
    await box.put(group("d"))

    assert len(box.take()[0]) == 3
    assert len(box.take()[0]) == 1
    assert box.take() == ([], [])


async def test_a_reader_waits_while_the_writer_is_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 100)
    monkeypatch.setattr(module, "TRANSACTION_BYTES", 50)
    box = Outbox(refuse, list[Record])
    await box.put(group("a", size=60))
    await box.put(group("b", size=60))
    putting = [asyncio.create_task(box.put(group(name, size=60))) for name in "cd"]
    await asyncio.sleep(0)
    assert not any(task.done() for task in putting)
    taken = 0
    async with asyncio.timeout(READY_SECONDS):
        while taken < 4:
            await box.wait()
            taken += len(box.take()[0])
            await asyncio.sleep(0)
        await asyncio.gather(*putting)


async def test_closed_box_is_emptied_and_then_done() -> None:
    box = Outbox(refuse, list[Record])
    await box.put(group("a"))
    box.close()

    assert await box.wait()
    box.take()
    assert not await box.wait()


async def test_idle_box_waits() -> None:
    box = Outbox(refuse, list[Record])
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(box.wait(), 0.01)
    await box.put(group("a"))
    box.take()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(box.wait(), 0.01)


async def test_record_that_kafka_would_never_take_becomes_a_dead_letter() -> None:
    box = Outbox(refuse, list[Record])
    await box.put([*group("a"), *group("b", size=MAX_RECORD_BYTES), *group("c", size=MAX_RECORD_BYTES - 1)])

    assert [(record.topic, record.key) for record in box.take()[0]] == [("t", b"a"), ("letters", b"b"), ("t", b"c")]


async def test_gathering_ends_once_there_is_a_whole_transaction_or_no_more_will_come() -> None:
    box = Outbox(refuse, list[Record])
    await box.put(group("a"))
    await box.gather(0.01)  # little: the time ends it
    gathering = asyncio.create_task(box.gather(60))
    await asyncio.sleep(0)
    assert not gathering.done()

    await box.put([record for _ in range(3) for record in group("b", size=MAX_RECORD_BYTES // 2)])
    async with asyncio.timeout(READY_SECONDS):
        await gathering
        box.take()
        gathering = asyncio.create_task(box.gather(60))
        await asyncio.sleep(0)
        assert not gathering.done()
        box.close()
        await gathering
