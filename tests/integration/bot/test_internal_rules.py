"""Rules by the internal API and by the chat: changed by one editor at a time, kept, and tried on the day that was."""

import asyncio
from typing import Any

import pytest

from tests.eventually import eventually
from tests.integration.bot.house import House, failure, snapshot
from tests.integration.bot.service import SERVICE_TOKEN, Service
from tests.integration.bot.test_postgres_refuses import Sql

ANN: dict[str, Any] = {"user_id": "proxy:ann@example.com", "name": "Ann", "role": "operator"}


@pytest.fixture
def guarded(house: House) -> House:
    house.environ["TOCSIN_SERVICE_TOKEN"] = SERVICE_TOKEN
    return house


async def test_rules_are_changed_by_one_editor_at_a_time_and_kept(guarded: House) -> None:
    house = guarded
    await house.put(snapshot())
    first = await house.start_bot(BOT_RULES_OFF="paused")
    bot = Service(first)

    async def rule(name: str) -> dict[str, Any]:
        return next(one for one in (await bot("GET", "rules")).json()["items"] if one["name"] == name)

    async def change(name: str, version: int, who: dict[str, Any] = ANN, **change: Any) -> Any:
        return await bot("PUT", f"rules/{name}", body={**who, "version": version, "change": change})

    depth = await rule("depth")
    assert (depth["fire"], depth["version"], depth["is_on"], depth["finds"]) == (10_000, 0, True, 0)
    assert depth["about"] == "10,000 jobs are ready, for 15 min; over below 5,000"
    assert depth["changeable"] == ["fire", "resolve", "fire_seconds", "resolve_seconds"]
    assert (await rule("paused"))["is_on"] is False
    words = (await bot("GET", "changes")).json()
    editors = await asyncio.gather(*(change("depth", 0, fire=number) for number in (10, 11, 12)))
    assert sorted(one.status_code for one in editors) == [200, 409, 409]
    assert {one.json()["error"] for one in editors if one.status_code == 409} == {"conflict"}
    now = (await bot("GET", "changes")).json()
    assert (now["rules"] != words["rules"], now["incidents"] == words["incidents"]) == (True, True)
    wrongs: tuple[tuple[str, dict[str, Any]], ...] = (
        ("depth", {"fire": -1}),
        ("failed", {"is_on": False}),
        ("depth", {"fire": "many"}),
    )
    for name, wrong in wrongs:
        assert (await change(name, 1, **wrong)).status_code == 400
    assert (await change("nothing", 0, fire=1)).status_code == 404
    assert (await change("paused", 0, is_on=True)).json()["error"] == "off_by_setting"
    assert (await change("depth", 1, {**ANN, "role": "viewer"}, fire=1)).status_code == 403
    assert (await change("depth", 1, fire=7, fire_seconds=0)).json()["version"] == 2

    text, _ = await house.ask("/rules depth", expect="Changed by Ann")
    assert "7 jobs are ready; over below 7" in text or "7 jobs are ready" in text
    await house.ask("/rules depth fire=lots", expect="That cannot be")
    await house.ask("/rules nonsense", expect="No rule is called")
    await house.ask("/rules stalled fire=2", expect="2 jobs lost their worker")
    await house.ask("/rules overdue off", expect="Delayed jobs overdue")
    await first.kill()
    bot = Service(await house.start_bot(BOT_RULES_OFF="paused"))
    depth = await rule("depth")
    assert (depth["fire"], depth["version"], depth["changed_by"]) == (7, 2, "Ann")
    assert (await rule("overdue"))["is_on"] is False

    async def rings() -> bool:
        await house.put(snapshot(waiting=8, oldest_waiting_seconds=1.0))
        return await house.has_text("Backlog")

    await eventually(rings, what="the backlog by the new number")
    rows = [(row["target"], row["outcome"]) for row in await bot.audit(action="rule") if "done" in row["outcome"]]
    assert ("depth", "done: fire=7 fire_seconds=0") in rows
    assert ("overdue", "done: off") in rows


async def test_a_preview_of_the_day_rings_exactly_what_rang(guarded: House) -> None:
    house = guarded
    bot = Service(await house.start_bot())
    for number in range(3):
        await house.put(*(failure(f"q{at}", fingerprint=f"f{at}", error_type=f"E{at}") for at in range(4)))
        await house.message(f"E3 ×{number + 1}")
    await house.put(failure("q9", backfill=True), failure("q8", event="retrying"))
    await house.put(*(failure("w", event="stalled", fingerprint="") for _ in range(2)))

    async def rang() -> list[tuple[str, str]]:
        items = (await bot("GET", "incidents")).json()["items"]
        return sorted((one["queue"], one["title"]) for one in items if one["has_rung"])

    async def preview(**more: Any) -> Any:
        return await bot("POST", "rules/preview", body={**ANN, "role": "viewer", **more})

    async def two_stalled() -> bool:  # too few to ring, so no list has them
        return bool(await Sql(house.postgres).value("SELECT count(*) FROM incidents WHERE queue = 'w' AND count = 2"))

    await eventually(two_stalled, what="everything counted")
    told = (await preview()).json()
    assert sorted((one["queue"], one["title"]) for one in told["items"]) == await rang()
    assert (told["count"], told["is_whole"], told["records"]) == (4, True, 16)
    assert told["from"] <= told["to"]
    assert [one["queue"] for one in (await preview(queue="q2")).json()["items"]] == ["q2"]
    more = (await preview(rules={"stalled": {"fire": 2}})).json()
    assert [one["title"] for one in more["items"]].count("Jobs stall") == 1
    wrongs: tuple[dict[str, Any], ...] = (
        {"hours": 0},
        {"hours": 25},
        {"rules": {"nothing": {}}},
        {"rules": {"depth": {"fire": -1}}},
    )
    for wrong in wrongs:
        assert (await preview(**wrong)).status_code == 400, wrong
    text, _ = await house.ask("/rules stalled preview fire=2", expect="it would have rung 1 time; as it is, 0 times")
    assert "prod · w · Jobs stall" in text
    assert "16 records" in text
    assert "Nothing is changed. To make it so: /rules stalled fire=2" in text
    text, _ = await house.ask("/rules failed preview", expect="As it is, it would have rung 4 times")
    assert text.index("q3 · E3") < text.index("q0 · E0"), "the newest first"
    await house.ask("/rules slow preview fire=2", expect="This rule rests in a preview")
    await house.ask("/rules depth preview fire=-1", expect="That cannot be")
    await house.ask("/rules stalled", expect="Put preview before it")
    assert (await house.press((await house.messages())[-1], "🔎 What it rang in 24 h"))["answered"]
    await house.message("As it is, it would have rung 0 times")
    assert [one["name"] for one in (await bot("GET", "rules")).json()["items"] if one["version"]] == []
