"""First contact is a baseline: what was there is backfill, what comes is live, and a restart remembers which."""

from pathlib import Path
from typing import Any

from bridge.kafka import Writer
from bridge.record import Record
from bridge.settings import BridgeSettings
from tests.eventually import eventually
from tests.integration.bridge.by_hand import add_events, make_queue
from tests.integration.bridge.running import Bridge
from tests.integration.bridge.test_read_only import documented_rules, make_reader
from tocsin.settings import read


async def backfill_of(bridge: Bridge, queue: str, count: int) -> list[bool]:
    """Whether each event of the queue is backfill, once there are so many."""

    async def are_there() -> bool:
        return len((await bridge.records()).of_queue(queue)) >= count

    await eventually(are_there, what=f"{count} events of {queue}")
    return [event.backfill for event in (await bridge.records()).of_queue(queue)]


async def test_what_was_there_is_backfill_and_what_comes_is_live(bridge: Bridge, app: Any) -> None:
    await make_queue(app, "old")
    await add_events(app, "old", 300, max_len=40)
    bridge.environ["KAFKA_PARTITIONS"] = "1"  # each partition stores the scan of its own
    await bridge.start()
    assert await backfill_of(bridge, "old", 40) == [True] * 40
    await add_events(app, "old", 2)
    assert await backfill_of(bridge, "old", 42) == [True] * 40 + [False] * 2

    await make_queue(app, "new")
    await add_events(app, "new", 3)
    assert await backfill_of(bridge, "new", 3) == [False] * 3

    await has_cursor(bridge, "main:main:")
    await bridge.stop()
    await add_events(app, "old", 2)
    await make_queue(app, "newer")
    await add_events(app, "newer", 30, max_len=10)
    await bridge.start()
    assert await backfill_of(bridge, "old", 44) == [True] * 40 + [False] * 4
    assert await backfill_of(bridge, "newer", 11) == [False] * 11
    gaps = [(event.queue, event.lost) for event in (await bridge.records()).jobs if event.event == "gap"]
    assert gaps == [("newer", 20)], "what was trimmed before Tocsin is not lost; what was trimmed since is"


async def test_without_cursors_all_is_history_again(bridge: Bridge, app: Any) -> None:
    """Another topic prefix knows nothing: nothing of the past may ring."""
    await make_queue(app, "old")
    await add_events(app, "old", 5)
    await bridge.start()
    assert await backfill_of(bridge, "old", 5) == [True] * 5


async def has_cursor(bridge: Bridge, key: str) -> None:
    """Wait for a record of this key among the cursors."""

    async def is_there() -> bool:
        return key in (await bridge.records()).cursors

    await eventually(is_there, what=f"a cursor {key}")


async def gaps(bridge: Bridge) -> list[tuple[str, int]]:
    return [(event.queue, event.lost) for event in (await bridge.records()).jobs if event.event == "gap"]


async def test_queue_refused_at_first_and_read_after_a_restart_lost_nothing(
    bridge: Bridge, app: Any, redis_url: str
) -> None:
    rules = ["%R~bull:ok:*" if rule == "%R~bull:*" else rule for rule in documented_rules()]
    await app.execute_command("ACL", "SETUSER", "bridge", *rules)
    reader = await make_reader(app, redis_url, "%R~bull:*")
    bridge.environ["REDIS_URL"], bridge.environ["KAFKA_PARTITIONS"] = reader, "1"
    for queue in ("ok", "hidden"):
        await make_queue(app, queue)
        await add_events(app, queue, 300, max_len=40)
    await bridge.start()
    await has_cursor(bridge, "main:main:")
    await bridge.stop()
    await make_reader(app, redis_url)
    await bridge.start()

    assert await backfill_of(bridge, "hidden", 40) == [True] * 40
    assert await gaps(bridge) == []


async def test_queues_that_the_settings_left_out_until_now_are_history(
    bridge: Bridge, app: Any, redis_url: str, tmp_path: Path
) -> None:
    sources = tmp_path / "sources.toml"
    sources.write_text(f'[[source]]\nurl="{redis_url}"\ninclude=["a"]\n')
    del bridge.environ["REDIS_URL"]
    bridge.environ |= {"TOCSIN_SOURCES_FILE": str(sources), "KAFKA_PARTITIONS": "1"}
    for queue in ("a", "b"):
        await make_queue(app, queue)
        await add_events(app, queue, 300, max_len=40)
    await bridge.start()
    await has_cursor(bridge, "main:main:")
    await bridge.stop()
    sources.write_text(f'[[source]]\nurl="{redis_url}"\n')
    await add_events(app, "b", 1, max_len=40, first=300)
    await bridge.start()

    assert await backfill_of(bridge, "b", 40) == [True] * 40
    assert await gaps(bridge) == []


async def test_damaged_cursor_begins_the_queue_afresh_under_identities_of_its_own(bridge: Bridge, app: Any) -> None:
    bridge.environ["KAFKA_PARTITIONS"] = "1"
    await make_queue(app, "mail")
    await add_events(app, "mail", 300, max_len=40)
    await bridge.start()
    await backfill_of(bridge, "mail", 40)
    await has_cursor(bridge, "main:main:")
    await bridge.stop()
    settings = read(BridgeSettings, bridge.environ)
    async with Writer(settings, 0) as writer:
        await writer.write(writer.batches([Record.of(settings.topics.cursors, b"main:main:mail", b"{")]))
    await bridge.start()

    assert await backfill_of(bridge, "mail", 80) == [True] * 80
    events = (await bridge.records()).of_queue("mail")
    assert len({event.id for event in events}) == 80
    assert events[40].epoch > 1_000_000
    assert await gaps(bridge) == []
    assert "queue_begun_afresh" in bridge.log


async def test_what_a_stream_loses_between_first_contact_and_its_first_read_is_counted(
    bridge: Bridge, app: Any
) -> None:
    """The queue was there, its stream was not yet."""
    bridge.environ["KAFKA_PARTITIONS"] = "1"
    await make_queue(app, "quiet")
    await bridge.start()
    await has_cursor(bridge, "main:main:quiet")
    await bridge.kill()
    await add_events(app, "quiet", 50, max_len=10)
    await bridge.start()

    assert await backfill_of(bridge, "quiet", 11) == [False] * 11
    assert await gaps(bridge) == [("quiet", 40)]
