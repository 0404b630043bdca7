"""What the live page costs the browser: 5,000 lines/s into its 100,000 lines, in a real Chromium.

A real Kafka, a real logsvc that stores the lines meanwhile, the page as it is built. Of the page: how soon its lines
are there with a cold cache; then, once its memory is full, the frames that are drawn, the share of the main thread that
is busy, and the heap after a garbage collection, minute by minute; and how many lines a second reached the page, and
how many it was too slow for: so a run shows whether the rate asked for really came.

    python -m benchmarks.page [--minutes 10] [--rate 5000] [--wrap] [--feed]

--feed: only the page is measured, and fed by tests/page_feed.py instead: so the whole rate arrives where logsvc
and the browser would want more cores than there are.
"""

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from playwright.async_api import Page

from benchmarks.live import start as start_role
from hatch_build import WEB, build_page, find_node
from tests.browser import open_page
from tests.eventually import eventually
from tests.integration.logsvc.house import House, house
from tests.ports import free_port
from tests.servers import run as servers

RATE, MINUTES, HELD = 5_000, 10, 100_000
VIEWS = 5
BEFORE = 2_000
"""Lines that are stored before the page is opened for the first time."""

HEAD = """\
| minute | frames/s | longest, ms | above 50 ms | main thread | of it script | layout | heap, MB | lines/s | dropped |
|---|---|---|---|---|---|---|---|---|---|"""

WHEN_USABLE = """
new MutationObserver((_, observer) => {
  if (!document.querySelector("[data-testid=live-row]")) return;
  observer.disconnect();
  requestAnimationFrame(() => { window.usableMs = performance.now(); });
}).observe(document, {childList: true, subtree: true});
"""
COUNT_FRAMES = """
window.drawn = {frames: 0, longest: 0, slow: 0, last: 0};
const tick = (now) => {
  const took = now - drawn.last;
  if (drawn.last > 0) drawn.frames += 1;
  if (drawn.last > 0 && took > drawn.longest) drawn.longest = took;
  if (drawn.last > 0 && took > 50) drawn.slow += 1;
  drawn.last = now;
  requestAnimationFrame(tick);
};
requestAnimationFrame(tick);
"""


@dataclass
class Moment:
    """The page's counters, which only grow. Seconds."""

    at: float
    frames: int
    slow: int
    busy: float
    script: float
    layout: float


async def moment(page: Page, cdp: Any) -> Moment:
    found = await cdp.send("Performance.getMetrics")
    told = {one["name"]: one["value"] for one in found["metrics"]}
    drawn: dict[str, Any] = await page.evaluate("window.drawn")
    return Moment(
        told["Timestamp"],
        drawn["frames"],
        drawn["slow"],
        told["TaskDuration"],
        told["ScriptDuration"],
        told["LayoutDuration"] + told["RecalcStyleDuration"],
    )


async def heap_mb(cdp: Any) -> float:
    """What is in use once nothing is held for nothing."""
    await cdp.send("HeapProfiler.collectGarbage")
    return (await cdp.send("Runtime.getHeapUsage"))["usedSize"] / 1e6


class Feeder:
    """The feed in place of a logsvc; see tests/page_feed.py."""

    def __init__(self) -> None:
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"

    async def get(self, path: str) -> httpx.Response:
        async with httpx.AsyncClient(base_url=self.url, timeout=20) as client:
            return await client.get(path)

    async def start(self, rate: int) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.page_feed", str(self._port), str(rate)
        )

        async def answers() -> bool:
            try:
                return (await self.get("/metrics")).is_success
            except httpx.TransportError:
                return False

        await eventually(answers, what="the feed")
        return process


async def first_view(url: str) -> float:
    """When the first lines are drawn, ms after the navigation; each time by a browser that has never been there."""
    async with open_page() as page:
        await page.add_init_script(WHEN_USABLE)
        await page.goto(url)
        await page.get_by_test_id("live-row").first.wait_for()

        async def is_drawn() -> bool:
            return await page.evaluate("window.usableMs !== undefined")

        await eventually(is_drawn, what="the first lines drawn")
        return await page.evaluate("window.usableMs")


async def lines_of(home: House | Feeder) -> tuple[int, int]:
    """How many lines were sent to the page, and dropped as it was too slow for them."""
    text = (await home.get("/metrics")).raise_for_status().text
    told = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    return int(float(told["logsvc_live_rows_sent_total"])), int(float(told["logsvc_live_rows_dropped_total"]))


async def minute(page: Page, cdp: Any, home: House | Feeder, number: int) -> float:
    """Print a row of the table; return the heap."""
    await page.evaluate("window.drawn.longest = 0")
    begun = await moment(page, cdp)
    sent, dropped = await lines_of(home)
    await asyncio.sleep(60)
    ended = await moment(page, cdp)
    sent_after, dropped_after = await lines_of(home)
    longest = await page.evaluate("window.drawn.longest")
    heap = await heap_mb(cdp)
    seconds = ended.at - begun.at
    print(
        f"| {number} | {(ended.frames - begun.frames) / seconds:.1f} | {longest:.0f} | {ended.slow - begun.slow} "
        f"| {(ended.busy - begun.busy) / seconds:.0%} | {(ended.script - begun.script) / seconds:.0%} "
        f"| {(ended.layout - begun.layout) / seconds:.0%} | {heap:.1f} "
        f"| {(sent_after - sent) / seconds:,.0f} | {dropped_after - dropped:,} |",
        flush=True,
    )
    return heap


async def held(page: Page) -> int:
    return int(await page.get_by_test_id("live-scroller").get_attribute("aria-rowcount") or 1) - 1


async def follow(home: House | Feeder, minutes: int, *, wrap: bool) -> None:
    """Follow the newest lines for so long, and print how that went."""
    async with open_page() as page:
        await page.goto(f"{home.url}/logs")
        await page.get_by_test_id("live-row").first.wait_for()
        if wrap:
            await page.get_by_test_id("toggle-wrap").click()
        cdp: Any = await page.context.new_cdp_session(page)  # its answers have no types
        await cdp.send("Performance.enable")
        await page.evaluate(COUNT_FRAMES)
        begun = time.monotonic()

        async def is_full() -> bool:
            return await held(page) >= HELD

        await eventually(is_full, seconds=300, what=f"{HELD:,} lines held")
        print(f"{HELD:,} lines held after {time.monotonic() - begun:.0f} s\n\n{HEAD}", flush=True)
        heaps = {number: await minute(page, cdp, home, number) for number in range(1, minutes + 1)}
        if minutes > 2:
            print(f"\nheap of minute {minutes} to that of minute 2: {heaps[minutes] / heaps[2]:.2f}")


async def run(kafka: str, data: Path, minutes: int, rate: int, *, wrap: bool) -> None:
    print(f"load before: {os.getloadavg()[0]:.1f}", flush=True)
    prefix = f"b{uuid.uuid4().hex[:8]}."
    async with house(data / "logsvc", kafka, prefix) as home:
        await home.start()
        await home.ready()
        producing = await start_role("produce", kafka, prefix, str(rate))
        try:
            await some_stored(home)
        finally:
            producing.kill()
            await producing.wait()
        views = [await first_view(f"{home.url}/logs") for _ in range(VIEWS)]
        print(f"first lines with a cold cache: median {statistics.median(views):.0f} ms, longest {max(views):.0f} ms")
        producing = await start_role("produce", kafka, prefix, str(rate))
        try:
            await follow(home, minutes, wrap=wrap)
        finally:
            producing.kill()
            await producing.wait()
    print(f"load after: {os.getloadavg()[0]:.1f}", flush=True)


async def run_fed(minutes: int, rate: int, *, wrap: bool) -> None:
    print(f"load before: {os.getloadavg()[0]:.1f}", flush=True)
    feeder = Feeder()
    feeding = await feeder.start(rate)
    try:
        await follow(feeder, minutes, wrap=wrap)
    finally:
        feeding.kill()
        await feeding.wait()
    print(f"load after: {os.getloadavg()[0]:.1f}", flush=True)


async def some_stored(home: House) -> None:
    async def is_enough() -> bool:
        answer = await home.get("/api/v1/histogram")
        return answer.is_success and answer.json()["total"] >= BEFORE

    await eventually(is_enough, what=f"{BEFORE:,} lines stored")


def print_sizes() -> None:
    """What the first view of each page loads, as the budget counts it."""
    folder = Path(WEB)
    build_page(folder)
    subprocess.run([*find_node().npm, "run", "--silent", "budget"], cwd=folder, check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=int, default=MINUTES, help="how long to follow the full list")
    parser.add_argument("--rate", type=int, default=RATE, help="lines offered a second")
    parser.add_argument("--wrap", action="store_true", help="with whole lines, each measured")
    parser.add_argument("--feed", action="store_true", help="measure the page alone, without logsvc")
    asked = parser.parse_args()
    print_sizes()
    if asked.feed:
        asyncio.run(run_fed(asked.minutes, asked.rate, wrap=asked.wrap))
        return
    servers.open_run()
    try:
        with tempfile.TemporaryDirectory() as data:
            asyncio.run(run(servers.shared("kafka"), Path(data), asked.minutes, asked.rate, wrap=asked.wrap))
    finally:
        servers.close_run()


if __name__ == "__main__":
    main()
