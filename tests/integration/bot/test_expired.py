"""What Kafka drops before the bot has read it is counted and said, also while the bot runs."""

import re
import signal

from tests.clients import aiokafka, aiokafka_admin
from tests.eventually import eventually
from tests.integration.bot.house import PARTITIONS, House, failure
from tocsin.topics import partition_of


async def drop(house: House, queue: str, *, keep: int) -> None:
    """Let all but the last `keep` records of a queue's partition expire."""
    place = aiokafka.TopicPartition(house.topics.jobs, partition_of("main", queue, PARTITIONS))
    consumer = aiokafka.AIOKafkaConsumer(bootstrap_servers=house.kafka)
    await consumer.start()
    try:
        end = (await consumer.end_offsets([place]))[place]
    finally:
        await consumer.stop()
    admin = aiokafka_admin.AIOKafkaAdminClient(bootstrap_servers=house.kafka)
    await admin.start()
    try:
        await admin.delete_records({place: aiokafka_admin.RecordsToDelete(before_offset=end - keep)})
    finally:
        await admin.close()


async def test_records_that_expire_under_a_running_bot_are_counted_and_the_rest_rings(house: House) -> None:
    bot = await house.start_bot()
    await house.put(failure())
    await eventually(lambda: house.has_text("CardError ×1"), what="the first alert")
    assert bot.process is not None
    bot.process.send_signal(signal.SIGSTOP)
    for _ in range(5):  # some may be read all the same: an answer can be on its way to the bot already
        await house.put(failure())
    await house.put(failure(error_type="Kept", fingerprint="f2"))
    await drop(house, "orders", keep=1)
    bot.process.send_signal(signal.SIGCONT)
    await eventually(lambda: house.has_text("Kept ×1"), what="the failure that was kept")

    async def adds_up() -> bool:
        """What rang and what /status says is lost are together what was put."""
        status, _ = await house.ask("/status", expect="Kafka")
        lost = re.search(r"Kafka dropped (\d+) records before they were read", status)
        rung = re.search(r"CardError ×(\d+)", "\n".join(await house.alerts()))
        if lost is None or rung is None:
            return False
        return "of its own" in status and int(lost[1]) + int(rung[1]) == 6

    await eventually(adds_up, what="six failures, rung or said to be lost")
    assert len(await house.alerts()) == 2
