"""Client libraries as tests use them to look at servers: partly typed or untyped, so `Any`, here once for all."""

import importlib
from typing import Any

aiokafka: Any = importlib.import_module("aiokafka")
aiokafka_admin: Any = importlib.import_module("aiokafka.admin")
confluent_admin: Any = importlib.import_module("confluent_kafka.admin")
"""librdkafka's: it can give rights and passwords, which aiokafka's cannot."""
asyncpg: Any = importlib.import_module("asyncpg")
redis: Any = importlib.import_module("redis.asyncio")
"""redis-py's asyncio flavour."""
bullmq: Any = importlib.import_module("bullmq")
"""The Python BullMQ."""
