"""The doctor and the services agree on which topics will do: one that it passes never stops a service."""

import asyncio

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from tests.eventually import eventually
from tocsin.doctor import Verdict
from tocsin.doctor.kafka import check_kafka
from tocsin.settings import Settings, read
from tocsin.topic_admin import TopicsUnfit, until_topics_fit
from tocsin.topics import Topics


@pytest.mark.parametrize(
    ("topic", "partitions", "will_do"),
    [("jobs", 2, True), ("jobs", 3, False), ("deadletter", 1, True), ("deadletter", 8, True)],
)
async def test_the_doctor_and_the_services_agree_on_a_topics_partitions(
    kafka_bootstrap: str, topic_prefix: str, topic: str, partitions: int, will_do: bool
) -> None:
    environ = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap,
        "KAFKA_TOPIC_PREFIX": topic_prefix,
        "KAFKA_PARTITIONS": "2",
    }
    counts = {spec.name: spec.wanted(2) for spec in Topics(topic_prefix).specs()}
    await _create(kafka_bootstrap, {**counts, f"{topic_prefix}{topic}": partitions})

    problems = [finding for finding in await check_kafka(environ) if finding.verdict is Verdict.BAD]
    assert (not problems) == will_do, problems
    assert await _refusal(environ) == ("" if will_do else f"{topic_prefix}jobs has 3 partitions instead of 2")


async def _refusal(environ: dict[str, str]) -> str:
    """How a service refuses the topics; empty if it takes them."""
    try:
        async with asyncio.timeout(60):
            await until_topics_fit(read(Settings, environ), asyncio.Event())
    except TopicsUnfit as refusal:
        return str(refusal).removeprefix("topic ").partition(". The")[0]
    return ""


async def _create(bootstrap: str, partitions: dict[str, int]) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, count, 1) for name, count in partitions.items()])

        async def there() -> bool:
            return set(partitions) <= set(await admin.list_topics())

        await eventually(there, what="the topics")
    finally:
        await admin.close()
