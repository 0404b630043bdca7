"""`tocsin tail` as a person runs it: history first, then what happens, over a restart of logsvc, until Ctrl-C."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from tests.eventually import READY_SECONDS, eventually
from tests.integration.logsvc.house import House
from tests.output import written


@asynccontextmanager
async def running_tail(home: House, name: str, *arguments: str) -> AsyncGenerator[asyncio.subprocess.Process]:
    """The command, what it prints in `name` in the house's directory."""

    def hear_ctrl_c() -> None:
        """As in a terminal: a shell that runs the tests in the background has them ignore it."""
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    command = [sys.executable, "-m", "tocsin.cli", "tail", *arguments]
    with (home.data / name).open("wb") as output, (home.data / f"{name}.err").open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            *command, env=home.environ, stdout=output, stderr=errors, preexec_fn=hear_ctrl_c
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_a_terminal_follows_over_a_restart_without_a_hole(home: House) -> None:
    home.environ["LOGSVC_RING_ROWS"] = "100"
    await home.start()
    await home.ready()
    await home.produce([home.event(n, job_name="\x1b[2J") for n in range(50)])
    await home.stored(50)
    async with (
        running_tail(home, "all", "--since", "2026-11-01T00:00:00Z", "--json") as everything,
        running_tail(home, "few", "--queue", "q1", "--queue", "q2") as few,
    ):

        def numbers() -> list[int]:
            return [int(json.loads(line)["job_id"]) for line in written(home.data / "all").splitlines()]

        await eventually(lambda: numbers() == list(range(50)), what="history shown, oldest first")

        async def both_watch() -> bool:
            return (await home.json("/api/v1/system"))["live"]["viewers"] == 2

        await eventually(both_watch, what="both tails there")
        await home.produce([home.event(n) for n in range(50, 100)])
        await eventually(lambda: len(numbers()) == 100, what="new lines shown")
        await home.kill()
        await home.produce([home.event(n) for n in range(100, 400)])
        await home.start()
        await home.ready()
        await home.produce([home.event(n) for n in range(400, 410)])
        await eventually(lambda: len(numbers()) >= 410, what="everything shown")
        assert sorted(numbers()) == list(range(410))
        said = (home.data / "all.err").read_text()
        assert "-- connection lost" in said
        assert "-- connected again" in said

        async def few_are_shown() -> bool:
            return written(home.data / "few").count("\n") == 144

        await eventually(few_are_shown, what="the filtered lines")
        assert "prod/main/q1 #51 added → waiting" in (home.data / "few").read_text()
        for process in (everything, few):
            process.send_signal(signal.SIGINT)
            assert await asyncio.wait_for(process.wait(), READY_SECONDS) == 0
