"""Emails: quick, many, and now and then a server that wants to be asked again or an address that is gone."""

import asyncio
import random
from typing import Any

from bullmq import UnrecoverableError  # pyright: ignore[reportMissingTypeStubs]: it has none

from tocsin.stack.workload import people
from tocsin.stack.workload.line import Job, Line, Sample, retries


class SMTPServerBusy(Exception):
    """The mail server said 421."""


def sample(rng: random.Random) -> Sample:
    template = rng.choices(("welcome", "receipt", "shipping-update", "cart-reminder"), (2, 5, 4, 2))[0]
    data = {"to": people.email(rng), "name": people.name(rng), "template": template, "locale": rng.choice(("en", "fr"))}
    options = retries(4, 1000)
    if template == "cart-reminder":
        options["delay"] = rng.randint(20, 180) * 1000
    return Sample(f"send-{template}", data, options)


async def handle(job: Job, rng: random.Random) -> Any:
    await job.log(f"rendering template {job.data['template']} for {job.data['to']}")
    await asyncio.sleep(rng.uniform(0.05, 0.3))
    _deliver(job.data["to"], rng)
    await job.log("accepted by mail server: 250 2.0.0 OK queued")
    return {"messageId": f"<{people.token(rng, '', 12)}@mail.example.com>"}


def _deliver(address: str, rng: random.Random) -> None:
    chance = rng.random()
    if chance < 0.06:
        raise SMTPServerBusy("421 4.7.0 Try again later, closing connection (mx1.mail.example.com)")
    if chance < 0.075:
        raise UnrecoverableError(f"550 5.1.1 <{address}>: Recipient address rejected: User unknown")


LINE = Line("emails", every_seconds=0.8, concurrency=5, sample=sample, handle=handle)
