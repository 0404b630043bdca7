"""What the API tells of a known past."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio

from logsvc.times import rfc3339
from tests.integration.logsvc.furnished import LOST, MINUTE, T0, furnished
from tests.integration.logsvc.house import House

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def home(tmp_path_factory: pytest.TempPathFactory, kafka_bootstrap: str) -> AsyncGenerator[House]:
    folder: Path = tmp_path_factory.mktemp("answers")
    async for one in furnished(folder / "logsvc", kafka_bootstrap):
        yield one


async def test_schedulers_tell_when_they_ran_are_due_and_what_they_missed(home: House) -> None:
    page = await home.json("/api/v1/schedulers")
    hourly, nightly = page["items"]
    assert (hourly["scheduler"], nightly["scheduler"]) == ("hourly", "nightly")
    assert (hourly["is_overdue"], hourly["missed"], nightly["missed"]) == (True, 3, 0)
    assert nightly["next_run"] == rfc3339(T0 + 10 * MINUTE)
    assert hourly["last_run"] == rfc3339(T0 - 50 * MINUTE), "of the schedule: no job of it was seen"
    assert page["coverage"] == {"history_since": rfc3339(T0 - 119 * MINUTE), "events_lost": LOST}
    late = await home.json("/api/v1/schedulers", overdue="true")
    assert [item["scheduler"] for item in late["items"]] == ["hourly"]
    first = await home.json("/api/v1/schedulers", limit=1)
    rest = await home.json("/api/v1/schedulers", cursor=first["next_cursor"])
    assert [item["scheduler"] for item in first["items"] + rest["items"]] == ["hourly", "nightly"]


async def test_system_tells_of_redis_dead_letters_and_versions(home: House) -> None:
    system = await home.json("/api/v1/system")
    [redis] = system["sources"]
    assert (redis["source"], redis["policy"], redis["evicted_keys"], redis["role"]) == ("main", "allkeys-lru", 3, "")
    assert system["all_dead_letters"]["count"] == 1
    assert system["all_dead_letters"]["newest"][0]["reason"] == "no event"
    assert system["versions"]["clickhouse"]
    assert system["breakers"]["clickhouse"] == "closed"
    assert system["schedulers"] == 2
    assert system["coverage"]["events_lost"] == LOST


async def test_one_queue_tells_all_that_is_polled_of_it(home: House) -> None:
    one = await home.json("/api/v1/queues/main/orders")
    assert (one["waiting"], one["workers"], one["overdue"], one["concurrency"]) == (3, 2, 4, None)
    assert one["coverage"]["events_lost"] == LOST
