"""The fixtures everybody builds on give what they promise."""

from tests.clients import aiokafka, aiokafka_admin, asyncpg, redis


async def test_kafka_takes_a_transaction_and_shows_only_committed_records(
    kafka_bootstrap: str, topic_prefix: str
) -> None:
    topic = f"{topic_prefix}x"
    admin = aiokafka_admin.AIOKafkaAdminClient(bootstrap_servers=kafka_bootstrap)
    await admin.start()
    await admin.create_topics([aiokafka_admin.NewTopic(topic, 2, 1)])
    await admin.close()
    async with aiokafka.AIOKafkaProducer(bootstrap_servers=kafka_bootstrap, transactional_id=topic) as producer:
        await producer.begin_transaction()
        await producer.send_and_wait(topic, b"aborted", partition=0)
        await producer.abort_transaction()
        async with producer.transaction():
            await producer.send_and_wait(topic, b"committed", partition=0)
    async with aiokafka.AIOKafkaConsumer(
        topic, bootstrap_servers=kafka_bootstrap, isolation_level="read_committed", auto_offset_reset="earliest"
    ) as consumer:
        record = await consumer.getone()
    assert record.value == b"committed"


async def test_redis_is_empty_and_evicts_nothing(redis_url: str) -> None:
    async with redis.Redis.from_url(redis_url) as client:
        assert await client.dbsize() == 0
        assert await client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert await client.config_get("appendonly") == {"appendonly": "yes"}


async def test_postgres_database_is_empty(postgres_url: str) -> None:
    connection = await asyncpg.connect(postgres_url.replace("+asyncpg", ""))
    tables = await connection.fetchval("select count(*) from pg_tables where schemaname = 'public'")
    await connection.close()
    assert tables == 0
