"""Tocsin's own log lines in Kafka, on the page's API; and that they make no further ones."""

from tests.eventually import eventually
from tests.integration.logsvc.house import House


async def test_own_lines_are_shown_by_service_and_an_idle_system_says_nothing(home: House) -> None:
    home.environ["LOG_TO_KAFKA"] = "true"
    await home.start()
    await home.ready()

    async def own_lines() -> list[str]:
        items = (await home.json("/api/v1/logs", service="logsvc", limit=1000))["items"]
        return [item["message"] for item in items]

    async def is_told() -> bool:
        return bool(await home.all_stored() and await own_lines())

    await eventually(is_told, seconds=60, what="logsvc's own lines")
    assert (await home.json("/api/v1/logs", service="bridge"))["items"] == []

    rounds = 0

    async def quiet_while_it_works() -> bool:
        """Whether a round of everything ingest does, its own lines stored too, has made no line."""
        nonlocal rounds
        before = len(await own_lines())
        await home.produce([home.event(rounds * 100 + n) for n in range(100)])
        rounds += 1
        await home.stored(rounds * 100 + before)
        return len(await own_lines()) == before

    await eventually(quiet_while_it_works, seconds=90, what="a round of work without a line")

    text = (await home.get("/metrics")).text
    assert 'logsvc_log_lines_total{outcome="sent"}' in text
