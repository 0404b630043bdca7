"""Kill -9 at every point: no alert is lost, every count is exact, and only the one known gap doubles a message."""

import asyncio

import pytest

from tests.eventually import READY_SECONDS, eventually
from tests.integration.bot.dying_bot import POINTS
from tests.integration.bot.house import ROOT, House, failure

DYING = str(ROOT / "tests" / "integration" / "bot" / "dying_bot.py")
IN_THE_GAP = "after-send"


@pytest.mark.slow
async def test_a_bot_killed_anywhere_loses_no_alert_and_counts_exactly(house: House) -> None:
    bot = await house.start_bot()  # the first start, so that nothing after it is the past
    await bot.kill()
    for point in POINTS:
        dying = await house.start_bot(DYING, point, wait=False, PYTHONPATH=str(ROOT))
        rings = (failure(fingerprint=point, error_type=point), failure(fingerprint=point, error_type=point))
        await house.put(rings[0])
        if point.endswith("edit"):
            await eventually(lambda point=point: house.has_text(point), what=f"the alert of {point}")
        await house.put(rings[1])
        assert dying.process is not None
        assert await asyncio.wait_for(dying.process.wait(), READY_SECONDS) == -9, dying.output()[-2000:]
    await house.start_bot()
    for point in POINTS:
        await house.put(failure(fingerprint=point, error_type=point))

    async def all_counted() -> bool:
        found = await house.alerts()
        return all(any(f"{point} ×3" in text for text in found) for point in POINTS)

    await eventually(all_counted, what="a message with the exact count for every point")
    found = await house.alerts()
    times = {point: sum(point in text.splitlines()[0] for text in found) for point in POINTS}
    assert times.pop(IN_THE_GAP) == 2  # promise 4: the only gap in which a message may be doubled
    assert set(times.values()) == {1}, times
