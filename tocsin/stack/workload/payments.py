"""Payments: few and precious; declined cards are final, the provider's hiccups are retried."""

import asyncio
import random
from typing import Any

from bullmq import UnrecoverableError  # pyright: ignore[reportMissingTypeStubs]: it has none

from tocsin.stack.workload import people
from tocsin.stack.workload.line import Job, Line, Sample, retries


class ProviderTimeout(Exception):
    """The payment provider did not answer in time."""


def sample(rng: random.Random) -> Sample:
    name = rng.choices(("charge", "refund", "capture"), (7, 1, 2))[0]
    data = {
        "order": people.order_number(rng),
        "amount": rng.randint(900, 45_000),
        "currency": rng.choice(("EUR", "EUR", "USD")),
        "customer": {"id": people.token(rng, "cus_", 14), "name": people.name(rng)},
        "headers": {"authorization": people.token(rng, "Bearer sk_test_", 24)},
    }
    return Sample(name, data, {**retries(5, 2000), "priority": 1 if name == "refund" else 0})


async def handle(job: Job, rng: random.Random) -> Any:
    await job.log(f"{job.name} {job.data['amount'] / 100:.2f} {job.data['currency']} for {job.data['order']}")
    await asyncio.sleep(rng.uniform(0.2, 0.9))
    _ask_provider(rng)
    return {"id": people.token(rng, "ch_"), "status": "succeeded"}


def _ask_provider(rng: random.Random) -> None:
    chance = rng.random()
    if chance < 0.09:
        raise ProviderTimeout("POST https://api.payments.example/v1/charges timed out after 5000 ms")
    if chance < 0.12:
        reason = rng.choice(("insufficient_funds", "insufficient_funds", "expired_card"))
        raise UnrecoverableError(f"card_declined: {reason}")


LINE = Line("payments", every_seconds=2.0, concurrency=3, sample=sample, handle=handle)
