"""Reports: long, with a log worth reading; the database sometimes gives up."""

import asyncio
import random
from typing import Any

from tocsin.stack.workload.line import Job, Line, Sample, retries


class StatementTimeout(Exception):
    """The database cancelled a query."""


def sample(rng: random.Random) -> Sample:
    name = rng.choice(("daily-sales", "stock-export", "vat-summary"))
    return Sample(name, {"shop": rng.choice(("Berlin", "Lyon", "Osaka")), "format": "csv"}, retries(3, 3000))


async def handle(job: Job, rng: random.Random) -> Any:
    rows = 0
    for step in range(1, 9):
        await asyncio.sleep(rng.uniform(0.3, 1.0))
        rows += rng.randint(800, 4000)
        await job.updateProgress({"step": step, "of": 8, "rows": rows})
        await job.log(f"[INFO] read partition {step} of 8, {rows} rows so far")
        if rng.random() < 0.03:
            await job.log("[ERROR] query cancelled by the server")
            _give_up(job.name)
    return {"rows": rows, "url": f"https://files.example.com/reports/{job.name}.csv"}


def _give_up(report: str) -> None:
    raise StatementTimeout(f"canceling statement due to statement timeout (report {report})")


LINE = Line("reports", every_seconds=9.0, concurrency=2, sample=sample, handle=handle)
