"""Silence means something only while the bridge tells of the source; and only a Redis' own clock tells its times."""

from tests.eventually import eventually
from tests.integration.bot.house import House, failure, snapshot


async def test_an_incident_stays_open_while_nobody_watches_its_source(house: House) -> None:
    await house.put(snapshot(), snapshot(source="watched"))
    await house.start_bot(BOT_RESOLVE_SECONDS="2")
    await house.put(
        failure(), failure(source="watched", error_type="Other"), failure(error_type="Same", fingerprint="f2")
    )
    await eventually(lambda: house.has_text("Same ×1"), what="the alerts")

    async def resolved(source: str, kind: str) -> bool:
        await house.put(snapshot(source=source))
        return any(text.startswith("✅") and kind in text for text in await house.alerts())

    await eventually(lambda: resolved("watched", "Other"), what="the end of the incident that is watched")
    assert sum(text.startswith("✅") for text in await house.alerts()) == 1
    await eventually(lambda: resolved("main", "Same"), what="the end of the others, once their source is watched")
    await eventually(lambda: resolved("main", "CardError"), what="the end of the last")


async def test_a_failure_rings_though_the_clock_of_its_redis_is_far_behind(house: House) -> None:
    await house.put(snapshot(age_seconds=1200))
    await house.start_bot()
    await eventually(lambda: house.has_text("Watching"), what="the snapshot's arrival")
    await house.put(failure(age_seconds=1200))
    await eventually(lambda: house.has_text("CardError ×1"), what="the alert")
    assert await house.alerts()
