"""The topics on a real Kafka: created as they must be, and what does not fit is said instead of used."""

import asyncio
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from bridge.settings import BridgeSettings
from tests.clients import aiokafka_admin
from tests.eventually import READY_SECONDS, eventually
from tests.ports import free_port
from tocsin.breakers import Breakers
from tocsin.doctor import Verdict
from tocsin.doctor.kafka import check_kafka
from tocsin.settings import read
from tocsin.topic_admin import TopicsUnfit, until_topics_fit
from tocsin.topics import Topics


def settings_of(bootstrap: str, prefix: str, **more: str) -> BridgeSettings:
    environ = {
        "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
        "KAFKA_TOPIC_PREFIX": prefix,
        "KAFKA_PARTITIONS": "3",
        "REDIS_URL": "redis://unused",
    }
    return read(BridgeSettings, environ | more)


async def fit(settings: BridgeSettings) -> None:
    async with asyncio.timeout(READY_SECONDS):
        await until_topics_fit(settings, asyncio.Event())


async def configs_of(bootstrap: str, names: list[str]) -> dict[str, dict[str, str]]:
    """Each topic's settings, as the broker has them."""
    admin: Any = aiokafka_admin.AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        wanted = [
            aiokafka_admin.config_resource.ConfigResource(aiokafka_admin.config_resource.ConfigResourceType.TOPIC, name)
            for name in names
        ]
        found: dict[str, dict[str, str]] = {}
        for response in await admin.describe_configs(wanted):
            for _, _, _, name, entries in response.resources:
                found[name] = {entry[0]: entry[1] for entry in entries}
        return found
    finally:
        await admin.close()


async def test_created_topics_are_as_the_contract_says(kafka_bootstrap: str, topic_prefix: str) -> None:
    settings = settings_of(kafka_bootstrap, topic_prefix)
    await fit(settings)
    specs = settings.topics.specs()
    found = await configs_of(kafka_bootstrap, [spec.name for spec in specs])

    assert len(specs) == len(found)
    for spec in specs:
        assert {name: found[spec.name][name] for name in spec.configs} == dict(spec.configs), spec.name
    assert found[settings.topics.cursors]["cleanup.policy"] == "compact"


async def test_absent_topic_that_may_not_be_made_is_named(kafka_bootstrap: str, topic_prefix: str) -> None:
    with pytest.raises(TopicsUnfit, match=rf"topics missing: .*{topic_prefix}cursors.*KAFKA_TOPICS_CREATE"):
        await fit(settings_of(kafka_bootstrap, topic_prefix, KAFKA_TOPICS_CREATE="check"))


async def test_topics_that_somebody_made_are_taken_as_they_are(kafka_bootstrap: str, topic_prefix: str) -> None:
    await fit(settings_of(kafka_bootstrap, topic_prefix))
    await fit(settings_of(kafka_bootstrap, topic_prefix, KAFKA_TOPICS_CREATE="check"))


async def test_another_number_of_partitions_is_refused(kafka_bootstrap: str, topic_prefix: str) -> None:
    """A queue's order depends on it."""
    await fit(settings_of(kafka_bootstrap, topic_prefix))
    with pytest.raises(TopicsUnfit, match=r"has 3 partitions instead of 5.*KAFKA_PARTITIONS=3"):
        await fit(settings_of(kafka_bootstrap, topic_prefix, KAFKA_PARTITIONS="5"))


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
        "REDIS_URL": "redis://unused",
    }
    counts = {spec.name: spec.wanted(2) for spec in Topics(topic_prefix).specs()}
    await _create(kafka_bootstrap, {**counts, f"{topic_prefix}{topic}": partitions})

    problems = [finding for finding in await check_kafka(environ) if finding.verdict is Verdict.BAD]
    assert (not problems) == will_do, problems
    assert await _refusal(environ) == ("" if will_do else f"{topic_prefix}jobs has 3 partitions instead of 2")


async def test_kafka_that_is_away_opens_the_breaker_of_its_topics(topic_prefix: str) -> None:
    settings = settings_of(f"127.0.0.1:{free_port()}", topic_prefix, BREAKER_FAIL_MAX="1")
    registry, stop = CollectorRegistry(), asyncio.Event()

    def state() -> float | None:
        return registry.get_sample_value("bridge_breaker_state", {"dependency": "kafka-topics"})

    async with asyncio.timeout(READY_SECONDS), asyncio.TaskGroup() as group:
        group.create_task(until_topics_fit(settings, stop, Breakers(settings, registry)))
        await eventually(lambda: state() == 2, what="an open breaker")
        stop.set()


async def _refusal(environ: dict[str, str]) -> str:
    """How a service refuses the topics; empty if it takes them."""
    try:
        async with asyncio.timeout(READY_SECONDS):
            await until_topics_fit(read(BridgeSettings, environ), asyncio.Event())
    except TopicsUnfit as refusal:
        return str(refusal).removeprefix("topic ").partition(". The")[0]
    return ""


async def _create(bootstrap: str, partitions: dict[str, int]) -> None:
    admin = aiokafka_admin.AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([aiokafka_admin.NewTopic(name, count, 1) for name, count in partitions.items()])

        async def there() -> bool:
            return set(partitions) <= set(await admin.list_topics())

        await eventually(there, what="the topics")
    finally:
        await admin.close()
