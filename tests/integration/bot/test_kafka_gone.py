"""Kafka goes away and comes back: it is said, nothing is resolved by that silence, and alerts go on."""

import re
from pathlib import Path

import pytest

from tests.eventually import eventually
from tests.integration.bot.house import Child, House, failure, snapshot
from tests.ports import free_port


@pytest.mark.slow
async def test_kafka_gone_is_told_and_resolves_nothing(postgres_url: str, tmp_path: Path) -> None:
    port = free_port()
    kafka = Child(
        tmp_path / "kafka.log", "-m", "tocsin.stack.kafka", "--data", str(tmp_path / "kafka"), "--port", str(port)
    )
    await kafka.start()
    await eventually(lambda: "ready " in kafka.output(), what="Kafka")
    found = re.search(r"ready (\S+)", kafka.output())
    assert found
    house = House(found[1], "own.", postgres_url, tmp_path)
    try:
        await house.open()
        await house.put(snapshot("orders", waiting=5))
        nobody = f"http://127.0.0.1:{free_port()}/"  # so that it is tried every 10 s
        bot = await house.start_bot(BOT_RESOLVE_SECONDS="25", HEARTBEAT_URL=nobody)
        await house.put(failure())
        await eventually(lambda: house.has_text("CardError ×1"), what="the alert")
        await house.put(snapshot("orders", waiting=5))  # its source is being watched
        await kafka.stop()

        async def told() -> bool:
            text, _ = await house.ask("/status", expect="Tocsin ")
            return "of its own" in text and "🔴 Kafka" in text

        await eventually(told, what="the trouble with Kafka in /status")
        await house.ask("/queues", expect="waiting 5")
        with pytest.raises(AssertionError):
            await eventually(lambda: house.has_text("quiet again"), seconds=30, what="a wrong resolution")
        assert '"reason": "Kafka does not carry a probe' in bot.output(), "no sign of life meanwhile"
        await kafka.start()
        await eventually(lambda: kafka.output().count("ready ") == 2, what="Kafka again")
        await house.put(failure())
        await eventually(lambda: house.has_text("CardError ×2"), what="the count, in the same message")
        assert len(await house.alerts()) == 1
    finally:
        await house.close()
        for bot in house.bots:
            print(bot.output()[-5000:])
        await kafka.stop()
