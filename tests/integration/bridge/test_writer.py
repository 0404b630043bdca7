"""What a writer leaves behind when it is lost: nothing, and no noise."""

import asyncio
import gc
from collections.abc import Sequence
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import NodeNotReadyError
from prometheus_client import CollectorRegistry

from bridge.errors import KafkaResting, WriterLost
from bridge.kafka import Membership, Writer, guard_by, read_cursors, reader
from bridge.kafka.calls import RESET_SECONDS
from bridge.record import Record
from tests.eventually import READY_SECONDS, eventually
from tests.integration.bridge.test_sites import site
from tests.tcp import listening
from tocsin.breakers import Breakers
from tocsin.topic_admin import until_topics_fit


async def test_fenced_writer_says_so_once(kafka_bootstrap: str, topic_prefix: str) -> None:
    settings = site("eu", kafka_bootstrap, topic_prefix)
    await until_topics_fit(settings, asyncio.Event())
    mishaps: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: mishaps.append(context))
    records = [Record.of(topic, b"k", b"1") for topic in (settings.topics.cursors, settings.topics.jobs)]
    async with Writer(settings, 0) as former:
        await former.write(former.batches(records))
        async with Writer(settings, 0) as owner:
            with pytest.raises(WriterLost):
                await former.write(former.batches(records))
            await owner.write(owner.batches(records))
    del former, owner
    gc.collect()
    await asyncio.sleep(0)
    assert mishaps == []


async def test_writer_that_is_fenced_between_two_batches_is_lost_like_any_other(
    kafka_bootstrap: str, topic_prefix: str
) -> None:
    """What was sent has been refused already when the rest of the transaction comes."""
    settings = site("eu", kafka_bootstrap, topic_prefix)
    await until_topics_fit(settings, asyncio.Event())
    records = [Record.of(topic, b"k", b"1") for topic in (settings.topics.cursors, settings.topics.jobs)]
    async with Hesitant(settings, 0) as former:
        await former.write(former.batches(records))
        async with Writer(settings, 0) as owner:
            former.is_fenced = True
            with pytest.raises(WriterLost):
                await former.write(former.batches(records))
            await owner.write(owner.batches(records))


class Hesitant(Writer):
    """Once it is fenced, it sends no further batch before it has heard what became of the first."""

    is_fenced = False
    has_sent = False

    async def _send(self, batch: Any, topic: str, partition: int) -> asyncio.Future[Any]:
        producer: Any = self._producer
        if self.is_fenced and self.has_sent:
            await eventually(lambda: not producer._txn_manager.is_in_transaction(), what="the refusal")
        self.has_sent = self.is_fenced
        return await super()._send(batch, topic, partition)


async def test_writer_that_is_fenced_after_its_deadline_says_nothing_more(
    kafka_bootstrap: str, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that was stopped in the midst of a transaction, and wakes: its time is over, and then Kafka answers."""
    settings = site("eu", kafka_bootstrap, topic_prefix)
    await until_topics_fit(settings, asyncio.Event())
    mishaps: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: mishaps.append(context))
    records = [Record.of(topic, b"k", b"1") for topic in (settings.topics.cursors, settings.topics.jobs)]
    former = await Writer(settings, 0).__aenter__()
    producer: Any = former._producer  # pyright: ignore[reportPrivateUsage]  # the fault is put exactly there
    send, wakes = producer.client.send, asyncio.Event()

    async def late(*args: Any, **how: Any) -> Any:
        await wakes.wait()
        return await send(*args, **how)

    monkeypatch.setattr(producer.client, "send", late)
    with monkeypatch.context() as hurried:
        hurried.setattr("bridge.kafka.writer.SEND_SECONDS", 0.2)
        with pytest.raises(WriterLost):
            await former.write(former.batches(records))
    async with Writer(settings, 0):
        wakes.set()
        await former.__aexit__()
    monkeypatch.undo()
    del former, producer
    gc.collect()
    await asyncio.sleep(0)
    assert mishaps == []


async def test_kafka_that_names_no_broker_is_no_bug(
    kafka_bootstrap: str, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that has just woken does, until its controller has heard of it: the writer is lost, and replaced."""
    settings = site("eu", kafka_bootstrap, topic_prefix)
    await until_topics_fit(settings, asyncio.Event())

    def nobody(_client: Any) -> None:
        """No broker."""

    with monkeypatch.context() as fault:
        fault.setattr("aiokafka.client.AIOKafkaClient.get_random_node", nobody)
        with pytest.raises(WriterLost, match="cannot open the writer of partition 0"):
            await Writer(settings, 0).__aenter__()
    async with Writer(settings, 0) as writer:
        await writer.write(writer.batches([Record.of(settings.topics.jobs, b"k", b"1")]))


async def test_kafka_that_never_answers_is_left_alone_until_it_is_back(
    kafka_bootstrap: str, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await until_topics_fit(site("eu", kafka_bootstrap, topic_prefix), asyncio.Event())
    is_back, calls = False, 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A broker that says nothing, and then is one."""
        nonlocal calls
        calls += 1
        if not is_back:
            await reader.read()
            return
        await _join(reader, writer, kafka_bootstrap)

    async with listening(serve) as port:
        settings = site("eu", f"127.0.0.1:{port}", topic_prefix)
        registry, now = CollectorRegistry(), 1000.0
        guard = guard_by(Breakers(settings, registry, clock=lambda: now))

        def breaker() -> float | None:
            return registry.get_sample_value("bridge_breaker_state", {"dependency": "kafka-relay"})

        monkeypatch.setattr("bridge.kafka.writer.START_SECONDS", 0.2)
        for _ in range(settings.breaker_fail_max):
            assert breaker() == 0
            with pytest.raises(WriterLost, match=r"no answer in 0\.2 s"):
                await Writer(settings, 0, guard).__aenter__()
        before = calls
        with pytest.raises(KafkaResting, match="breaker open"):
            await Writer(settings, 0, guard).__aenter__()
        with pytest.raises(KafkaResting, match="breaker open"):
            await read_cursors(settings, 0, guard)
        assert (breaker(), calls) == (2, before), "it was asked all the same"

        is_back, now = True, now + RESET_SECONDS
        monkeypatch.setattr("bridge.kafka.writer.START_SECONDS", 20)
        async with Writer(settings, 0, guard) as writer:
            assert breaker() == 0
            await writer.write(writer.batches([Record.of(settings.topics.cursors, b"k", b"1")]))
        assert await read_cursors(settings, 0, guard) == {b"k": b"1"}


@pytest.fixture
def consumers(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Those that have asked for a place in a group, in order."""
    found: list[Any] = []
    subscribe = AIOKafkaConsumer.subscribe

    def noting_subscribe(consumer: AIOKafkaConsumer, *topics: Any, **how: Any) -> None:
        found.append(consumer)
        subscribe(consumer, *topics, **how)

    monkeypatch.setattr(AIOKafkaConsumer, "subscribe", noting_subscribe)
    return found


class Assigned:
    """An owner that only hears what it was given, and how often it lost all of it."""

    def __init__(self) -> None:
        self.partitions: list[int] = []
        self.losses = 0

    async def assigned(self, partitions: Sequence[int]) -> None:
        self.partitions = list(partitions)

    async def revoked(self, partitions: Sequence[int]) -> None:
        pass

    async def lost(self) -> None:
        self.partitions = []
        self.losses += 1


async def test_group_is_entered_once_kafka_is_back(
    kafka_bootstrap: str, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await until_topics_fit(site("eu", kafka_bootstrap, topic_prefix), asyncio.Event())
    monkeypatch.setattr("bridge.kafka.membership.JOIN_AGAIN_SECONDS", 0.05)
    is_back = False

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A broker that hangs up, and then is one."""
        if is_back:
            await _join(reader, writer, kafka_bootstrap)
        writer.close()

    async with listening(serve) as port:
        settings, registry = site("eu", f"127.0.0.1:{port}", topic_prefix), CollectorRegistry()
        owner, stop = Assigned(), asyncio.Event()
        membership = Membership(settings, owner, guard_by(Breakers(settings, registry)))

        def breaker() -> float | None:
            return registry.get_sample_value("bridge_breaker_state", {"dependency": "kafka-relay"})

        async with asyncio.timeout(READY_SECONDS), asyncio.TaskGroup() as group:
            group.create_task(membership.run(stop))
            await eventually(lambda: breaker() == 2, what="an open breaker")
            is_back = True
            await eventually(lambda: bool(owner.partitions), what="partitions of ours")
            assert breaker() == 0
            stop.set()


@pytest.mark.parametrize("is_member", [False, True])
async def test_group_is_entered_again_once_kafka_names_a_broker(
    kafka_bootstrap: str,
    topic_prefix: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    consumers: list[Any],
    is_member: bool,
) -> None:
    """One that has just woken may name none: what keeps our place in the group dies of that, and all of it is left."""
    settings = site("eu", kafka_bootstrap, topic_prefix)
    await until_topics_fit(settings, asyncio.Event())
    monkeypatch.setattr("bridge.kafka.membership.JOIN_AGAIN_SECONDS", 0.05)
    caplog.set_level("CRITICAL", logger="aiokafka")  # pytest keeps what is logged, and with it whose mishap it was
    mishaps: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: mishaps.append(context))

    def nobody(_client: Any) -> None:
        """No broker."""

    owner, stop = Assigned(), asyncio.Event()
    before = asyncio.all_tasks()
    async with asyncio.timeout(READY_SECONDS), asyncio.TaskGroup() as group:
        membership = Membership(settings, owner)
        if is_member:
            group.create_task(membership.run(stop))
            await eventually(lambda: bool(owner.partitions), what="partitions of ours")
        with monkeypatch.context() as fault:
            fault.setattr("aiokafka.client.AIOKafkaClient.get_random_node", nobody)
            if is_member:
                consumers[0]._coordinator.coordinator_dead()
            else:
                group.create_task(membership.run(stop))
            await eventually(lambda: owner.losses > 0, what="a place that is lost")
            assert owner.partitions == []
        await eventually(lambda: bool(owner.partitions), what="partitions of ours again")
        stop.set()
    await eventually(lambda: not asyncio.all_tasks() - before, what="every task of the members ended")
    consumers.clear()
    gc.collect()
    await asyncio.sleep(0)
    assert mishaps == []


async def _join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, bootstrap: str) -> None:
    """Pass on what both sides say: ours and Kafka's."""
    host, _, port = bootstrap.rpartition(":")
    there = await asyncio.open_connection(host, int(port))
    await asyncio.gather(_pass_on(reader, there[1]), _pass_on(there[0], writer))


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def test_transaction_of_many_batches_keeps_the_order_in_each_topic(
    kafka_bootstrap: str, topic_prefix: str
) -> None:
    settings = site("eu", kafka_bootstrap, topic_prefix)
    await until_topics_fit(settings, asyncio.Event())
    jobs, letters, cursors = settings.topics.jobs, settings.topics.deadletter, settings.topics.cursors
    filling = b"x" * 60_000  # four to a batch
    written = {
        jobs: [Record.of(jobs, b"%d" % at, filling, b"id", b"kind") for at in range(30)],
        letters: [Record.of(letters, b"%d" % at, filling, b"id", b"kind", partition=0) for at in range(30)],
        cursors: [Record.of(cursors, b"%d" % at, b"1" if at % 3 else None) for at in range(30)],
    }
    async with Writer(settings, 0) as writer:
        await writer.write(
            writer.batches([record for three in zip(*written.values(), strict=True) for record in three])
        )
    consumer = reader(settings, "test")
    await consumer.start()
    consumer.assign([TopicPartition(topic, 0) for topic in written])
    found: dict[str, list[Any]] = {topic: [] for topic in written}
    async with asyncio.timeout(READY_SECONDS):
        while any(len(records) < 30 for records in found.values()):
            for place, records in (await consumer.getmany(timeout_ms=200)).items():
                found[place.topic] += records
    await consumer.stop()
    for topic, records in written.items():
        read = found[topic]
        assert [(one.key, one.value) for one in read] == [(record.key, record.value) for record in records]
        assert {one.headers for one in read} == {() if topic == cursors else (("ce_id", b"id"), ("ce_type", b"kind"))}


async def test_restoring_ends_when_it_is_cancelled_as_its_client_ends(
    kafka_bootstrap: str, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """aiokafka takes that for the end of a task of its own: a partition waited for its own polls for ever."""
    settings = site("eu", kafka_bootstrap, topic_prefix)
    await until_topics_fit(settings, asyncio.Event())
    ending = asyncio.Event()
    stop = AIOKafkaConsumer.stop

    async def noting_stop(consumer: AIOKafkaConsumer) -> None:
        ending.set()
        await stop(consumer)

    monkeypatch.setattr(AIOKafkaConsumer, "stop", noting_stop)
    before = asyncio.all_tasks()
    restoring = asyncio.create_task(read_cursors(settings, 0))
    await ending.wait()
    restoring.cancel()
    await asyncio.wait({restoring})
    assert restoring.cancelled()
    await eventually(lambda: not asyncio.all_tasks() - before, what="every task of the client ended")


async def test_writer_that_cannot_flush_is_closed_all_the_same(
    kafka_bootstrap: str, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kafka falls silent for good: the connections are closed, and what waited for them ends."""
    monkeypatch.setattr("bridge.kafka.calls.END_SECONDS", 0.5)
    settings = site("eu", kafka_bootstrap, topic_prefix)
    await until_topics_fit(settings, asyncio.Event())
    before = asyncio.all_tasks()
    writer = await Writer(settings, 0).__aenter__()
    producer: Any = writer._producer  # pyright: ignore[reportPrivateUsage]  # the fault is put exactly there
    asked, never = asyncio.Event(), asyncio.Event()

    async def unanswered(*_: object, **__: object) -> None:
        asked.set()
        await never.wait()

    send = producer.client.send
    producer.client.send = unanswered
    writing = asyncio.create_task(writer.write(writer.batches([Record.of(settings.topics.jobs, b"k", b"1")])))
    await asked.wait()
    closed = asyncio.Event()
    close = producer.client.close

    async def noting_close() -> None:
        closed.set()
        never.set()
        producer.client.send = send
        await close()

    producer.client.close = noting_close
    await writer.__aexit__()
    assert closed.is_set()
    writing.cancel()
    await asyncio.wait({writing})
    await eventually(lambda: not asyncio.all_tasks() - before, what="every task of the writer ended")


async def test_writer_whose_kafka_is_gone_leaves_no_task_behind(
    kafka_bootstrap: str, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its client asks who is there again and again, and once it is closed nobody would tell."""
    monkeypatch.setattr("bridge.kafka.calls.END_SECONDS", 0.5)
    monkeypatch.setattr("bridge.kafka.writer.SEND_SECONDS", 0.2)
    settings = site("eu", kafka_bootstrap, topic_prefix)
    await until_topics_fit(settings, asyncio.Event())
    before = asyncio.all_tasks()
    writer = await Writer(settings, 0).__aenter__()
    producer: Any = writer._producer  # pyright: ignore[reportPrivateUsage]  # the fault is put exactly there

    async def gone(*_: object) -> None:
        raise NodeNotReadyError

    monkeypatch.setattr(producer.client, "coordinator_lookup", gone)
    producer._sender._coordinators.clear()
    with pytest.raises(WriterLost):
        await writer.write(writer.batches([Record.of(settings.topics.jobs, b"k", b"1")]))
    await writer.__aexit__()
    await eventually(lambda: not asyncio.all_tasks() - before, what="every task of the writer ended")


async def test_member_that_cannot_leave_its_group_leaves_no_task_behind(
    kafka_bootstrap: str, topic_prefix: str, monkeypatch: pytest.MonkeyPatch, consumers: list[Any]
) -> None:
    """Kafka does not answer that it leaves: what beats for it would connect again, and hold partitions for nobody."""
    monkeypatch.setattr("bridge.kafka.calls.END_SECONDS", 0.5)
    settings = site("eu", kafka_bootstrap, topic_prefix)
    await until_topics_fit(settings, asyncio.Event())
    before = asyncio.all_tasks()

    async def unanswered() -> None:
        await asyncio.Event().wait()

    owner, stop = Assigned(), asyncio.Event()
    running = asyncio.create_task(Membership(settings, owner).run(stop))
    await eventually(lambda: bool(owner.partitions), what="partitions of ours")
    monkeypatch.setattr(consumers[0]._coordinator, "_maybe_leave_group", unanswered)
    stop.set()
    await running
    await eventually(lambda: not asyncio.all_tasks() - before, what="every task of the member ended")
