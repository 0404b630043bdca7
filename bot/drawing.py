"""Draw charts, each in a process of its own: it ends by its deadline whatever happens, and leaves no memory behind."""

import asyncio
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import msgspec
import structlog

from bot.errors import BotError
from bot.render.panels import Chart

log = structlog.get_logger("drawing")

DRAW_SECONDS = 10.0
"""Waiting for one's turn included. It takes a third of a second where nothing else is going on."""
AT_ONCE = 2
MOST_BYTES = 2 * 1024 * 1024


class NotDrawn(BotError):
    """There is no picture, in time or at all."""


@dataclass
class Drawing:
    """One for the process. command: reads a Chart as JSON, writes a PNG."""

    command: Sequence[str] = (sys.executable, "-m", "bot.render.picture")
    _places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    async def draw(self, chart: Chart) -> bytes:
        """A PNG. Raises NotDrawn."""
        try:
            async with asyncio.timeout(DRAW_SECONDS), self._places:
                return await self._drawn(msgspec.json.encode(chart))
        except (TimeoutError, OSError) as failure:
            log.warning("chart_not_drawn", error=type(failure).__name__)
            raise NotDrawn(type(failure).__name__) from failure

    async def _drawn(self, chart: bytes) -> bytes:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*self.command, stdin=pipe, stdout=pipe, stderr=pipe)
        try:
            picture, complaint = await process.communicate(chart)
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if process.returncode or not 0 < len(picture) <= MOST_BYTES:
            log.error("chart_not_drawn", status=process.returncode, error=complaint.decode(errors="replace")[-500:])
            raise NotDrawn(f"status {process.returncode}")
        return picture
