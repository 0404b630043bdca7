"""Thumbnails: report progress, and choke on files that are no pictures."""

import asyncio
import random
from typing import Any

from tocsin.stack.workload import people
from tocsin.stack.workload.line import Job, Line, Sample, retries

_WIDTHS = (160, 320, 640, 1280)


class UnidentifiedImage(Exception):
    """The file is not a picture we can read."""


def sample(rng: random.Random) -> Sample:
    kind = rng.choices(("jpg", "png", "heic"), (12, 6, 1))[0]
    key = f"uploads/{rng.randint(1, 9)}/{people.product(rng)}-{rng.randint(1, 9999)}.{kind}"
    return Sample("resize", {"bucket": "shop-media", "key": key, "widths": list(_WIDTHS)}, retries(2, 500))


async def handle(job: Job, rng: random.Random) -> Any:
    key = job.data["key"]
    if key.endswith(".heic"):
        await asyncio.sleep(0.1)
        raise UnidentifiedImage(f"cannot identify image file {key!r}")
    for done, width in enumerate(job.data["widths"], 1):
        await asyncio.sleep(rng.uniform(0.05, 0.25))
        await job.updateProgress(100 * done // len(job.data["widths"]))
        await job.log(f"wrote {width} px ({rng.randint(4, 90)} kB)")
    return {"files": len(job.data["widths"])}


LINE = Line("thumbnails", every_seconds=1.6, concurrency=2, sample=sample, handle=handle)
