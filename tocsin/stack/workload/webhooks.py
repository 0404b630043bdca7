"""Webhooks: one customer's endpoint is down for a minute every few, and its deliveries fail for good in a row."""

import asyncio
import random
import time
from typing import Any

from tocsin.stack.workload import people
from tocsin.stack.workload.line import Job, Line, Sample, retries

_ENDPOINTS = ("hooks.north.example", "hooks.acme.example", "api.kite.example", "in.harbor.example")
_FRAGILE = "hooks.acme.example"
_CYCLE_SECONDS = 300.0
_DOWN_SECONDS = 60.0


class DeliveryFailed(Exception):
    """The endpoint answered with an error."""


def sample(rng: random.Random) -> Sample:
    event = rng.choice(("order.paid", "order.shipped", "refund.created"))
    data = {
        "url": f"https://{rng.choice(_ENDPOINTS)}/v2/events",
        "event": event,
        "payload": {"order": people.order_number(rng), "items": rng.randint(1, 5)},
        "secret": people.token(rng, "whsec_", 24),
    }
    return Sample("deliver", data, retries(3, 1500))


async def handle(job: Job, rng: random.Random) -> Any:
    await asyncio.sleep(rng.uniform(0.05, 0.4))
    _post(job.data["url"], rng)
    return {"status": 200}


def is_down(at: float) -> bool:
    """Whether the fragile endpoint is down at this Unix time: the first minute of every five."""
    return at % _CYCLE_SECONDS < _DOWN_SECONDS


def _post(url: str, rng: random.Random) -> None:
    if _FRAGILE in url and is_down(time.time()):
        raise DeliveryFailed(f"POST {url} answered 503 Service Unavailable")
    if rng.random() < 0.03:
        raise ConnectionResetError(104, "Connection reset by peer")


LINE = Line("webhooks", every_seconds=1.2, concurrency=4, sample=sample, handle=handle)
