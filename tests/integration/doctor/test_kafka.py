"""The doctor on a real Kafka: topics, transactions, protocols, each with its mend."""

from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from tests.eventually import eventually
from tests.integration.doctor.findings import WRONG, bad, only
from tocsin.doctor import Verdict
from tocsin.doctor.kafka import check_kafka
from tocsin.topics import Topics


async def test_absent_topics_are_named_one_by_one_and_the_mend_mends_them(
    kafka_bootstrap: str, topic_prefix: str
) -> None:
    environ = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap,
        "KAFKA_TOPIC_PREFIX": topic_prefix,
        "KAFKA_TOPICS_CREATE": "check",
        "KAFKA_PARTITIONS": "2",
    }
    findings = await bad(check_kafka(environ))
    names = {spec.name for spec in Topics(topic_prefix).specs()}
    assert {finding.check.removeprefix("Kafka topic ") for finding in findings} == names
    await _create(kafka_bootstrap, [_topic_of(finding.mend) for finding in findings])
    assert not await bad(check_kafka(environ))
    findings = await bad(check_kafka({**environ, "KAFKA_PARTITIONS": "3"}))
    assert len(findings) == 5
    assert all("export KAFKA_PARTITIONS=2" in finding.mend for finding in findings)


async def test_topics_that_will_be_created_are_no_problem(kafka_bootstrap: str, topic_prefix: str) -> None:
    environ = {"KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap, "KAFKA_TOPIC_PREFIX": topic_prefix}
    assert "bridge creates them" in only(await check_kafka(environ), Verdict.NOTE).found
    finding = only(await check_kafka({**environ, "KAFKA_REPLICATION_FACTOR": "3"}), Verdict.BAD)
    assert finding.mend == "export KAFKA_REPLICATION_FACTOR=1"


async def test_a_transaction_that_hangs_is_named_with_what_ends_it_once_it_is_old(
    kafka_bootstrap: str, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    topics = Topics(topic_prefix)
    await _create(kafka_bootstrap, [NewTopic(spec.name, spec.partitions or 8, 1) for spec in topics.specs()])
    environ = {"KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap, "KAFKA_TOPIC_PREFIX": topic_prefix}
    producer: Any = AIOKafkaProducer(bootstrap_servers=kafka_bootstrap, transactional_id=f"{topic_prefix}hanging")
    async with producer:
        async with producer.transaction():
            await producer.send_and_wait(topics.jobs, b"an event", partition=3)
        await producer.begin_transaction()
        await producer.send_and_wait(topics.jobs, b"another", partition=3)
        await producer.send_and_wait(topics.cursors, b"its position", partition=3)
        assert await bad(check_kafka(environ)) == []  # as old as any that is under way
        monkeypatch.setattr("tocsin.doctor.kafka_hanging.HANGING_SECONDS", 0)
        [together] = await bad(check_kafka(environ))
        await producer.abort_transaction()
        await producer.begin_transaction()
        await producer.send_and_wait(topics.jobs, b"another", partition=3)
        [alone] = await bad(check_kafka(environ))
        await producer.abort_transaction()
    assert f"{topics.jobs}-3 from offset 2" in together.found
    assert f"{topics.cursors}-3 from offset 0" in together.found
    assert "read from Redis again" in together.found
    assert f"abort --topic {topics.jobs} --partition 3 --start-offset 2" in together.mend
    assert "missing" in alone.found
    assert await bad(check_kafka(environ)) == []


async def test_a_kafka_that_wants_another_protocol_is_named(kafka_bootstrap: str) -> None:
    environ = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap,
        "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
        "KAFKA_SASL_MECHANISM": "PLAIN",
        "KAFKA_SASL_USERNAME": "u",
        "KAFKA_SASL_PASSWORD": WRONG,
    }
    finding = only(await check_kafka(environ), Verdict.BAD)
    assert "SASL" in finding.found
    assert WRONG not in str(finding)


def _topic_of(mend: str) -> NewTopic:
    """What the printed kafka-topics.sh command would create."""
    words = mend.split("   ")[0].split()
    options = {word: words[at + 1] for at, word in enumerate(words) if word.startswith("--") and at + 1 < len(words)}
    configs = dict(words[at + 1].split("=", 1) for at, word in enumerate(words) if word == "--config")
    return NewTopic(
        options["--topic"], int(options["--partitions"]), int(options["--replication-factor"]), topic_configs=configs
    )


async def _create(bootstrap: str, topics: list[NewTopic]) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics(topics)
        wanted = {str(topic.name) for topic in topics}

        async def there() -> bool:
            return wanted <= set(await admin.list_topics())

        await eventually(there)
    finally:
        await admin.close()
