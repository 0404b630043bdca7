"""Orders: a parent that waits for its children in other queues."""

import asyncio
import random
from typing import Any

from tocsin.stack.workload import emails, people
from tocsin.stack.workload.line import Job, Line, Sample, retries

EVERY_SECONDS = 12.0


def flow(rng: random.Random) -> dict[str, Any]:
    """A BullMQ flow: pack the order once its stock is reserved and its customer told."""
    order = people.order_number(rng)
    mail = emails.sample(rng)
    children: list[dict[str, Any]] = [
        {"queueName": "orders", "name": "reserve-stock", "data": {"order": order, "product": people.product(rng)}},
        {"queueName": "emails", "name": "send-receipt", "data": dict(mail.data), "opts": retries(4, 1000)},
    ]
    for child in children:
        child["opts"] = {**retries(3, 1000), "removeOnComplete": {"count": 200}, "ignoreDependencyOnFailure": True}
    return {"queueName": "orders", "name": "pack", "data": {"order": order}, "children": children}


def sample(rng: random.Random) -> Sample:
    return Sample("check-stock", {"product": people.product(rng)}, retries(3, 1000))


async def handle(job: Job, rng: random.Random) -> Any:
    await asyncio.sleep(rng.uniform(0.1, 0.6))
    if job.name == "reserve-stock" and rng.random() < 0.05:
        raise KeyError(f"no stock row for product {job.data['product']!r}")
    return {"ok": True}


LINE = Line("orders", every_seconds=6.0, concurrency=2, sample=sample, handle=handle)
