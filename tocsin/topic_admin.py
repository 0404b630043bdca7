"""Make or check the contract's topics before a service uses them."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, ParamSpec, TypeVar

import structlog
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaConnectionError, KafkaError, NodeNotReadyError, TopicAlreadyExistsError, for_code

from tocsin.breakers import Breakers, Guard, Unavailable
from tocsin.kafka import client_options
from tocsin.lifecycle import close_within, pause
from tocsin.settings import Settings
from tocsin.topics import TopicSpec

log = structlog.get_logger("topics")

CALL_SECONDS = 15.0
RETRY_SECONDS = 2.0

KAFKA = "kafka-topics"
AWAY = (OSError, KafkaConnectionError, NodeNotReadyError)

T = TypeVar("T")
P = ParamSpec("P")


class TopicsUnfit(Exception):
    """The topics are not as they must be; the message says which, and what to do. Waiting does not help."""


class _KafkaDown(Exception):
    """Kafka does not answer, or not yet as it will."""


async def until_topics_fit(settings: Settings, stop: asyncio.Event, breakers: Breakers | None = None) -> None:
    """Create what is missing of the topics this service uses, or only look (KAFKA_TOPICS_CREATE).

    Waits for Kafka as long as it takes, or until stop. Without breakers each call has a deadline alone.

    Raises TopicsUnfit if topics are missing and may not be made, or have another number of partitions.
    """
    guard: Guard = asyncio.timeout
    if breakers is not None:
        guard = breakers.guard_loops(KAFKA, errors_that_count=AWAY, reset_seconds=RETRY_SECONDS)
    has_waited = False  # a cluster that has just been given topics needs a moment: no news yet
    while not stop.is_set():
        try:
            await _ensure(settings, guard)
        except _KafkaDown as error:
            (log.warning if has_waited else log.info)("waiting_for_kafka", reason=str(error))
            has_waited = True
            await pause(stop, RETRY_SECONDS)
        else:
            return


async def _ensure(settings: Settings, guard: Guard) -> None:
    options = client_options(settings, f"{settings.service}-admin")
    admin = AIOKafkaAdminClient(**options, request_timeout_ms=int(CALL_SECONDS * 1000))
    try:
        await _reach(guard, admin.start)
        specs = settings.topics.used_by([settings.service])
        existing = set(await _reach(guard, admin.list_topics))
        missing = [spec for spec in specs if spec.name not in existing]
        if missing and settings.kafka_topics_create == "check":
            names = ", ".join(spec.name for spec in missing)
            raise TopicsUnfit(f"topics missing: {names}. Create them, or set KAFKA_TOPICS_CREATE=auto")
        for spec in missing:
            await _create(admin, spec, settings, guard)
        if settings.service == "bridge" and settings.kafka_topics_create == "auto":
            await _create_for_others(admin, settings, existing, guard)
        for spec in specs:
            await _check_partitions(admin, spec, settings, guard)
    finally:
        with suppress(KafkaError, OSError):
            await close_within(CALL_SECONDS, admin.close())


async def _create_for_others(admin: AIOKafkaAdminClient, settings: Settings, existing: set[str], guard: Guard) -> None:
    """Create what bridge itself does not use, for who may not create; that it may not either stops nothing."""
    used = {spec.name for spec in settings.topics.used_by([settings.service])}
    for spec in settings.topics.specs():
        if spec.name not in used | existing:
            try:
                await _create(admin, spec, settings, guard)
            except TopicsUnfit as refusal:
                log.warning("topic_not_created", topic=spec.name, reason=str(refusal))


async def _create(admin: AIOKafkaAdminClient, spec: TopicSpec, settings: Settings, guard: Guard) -> None:
    partitions = spec.wanted(settings.kafka_partitions)
    topic = NewTopic(spec.name, partitions, settings.kafka_replication_factor, topic_configs=dict(spec.configs))
    try:
        response = await _reach(guard, admin.create_topics, [topic])
    except TopicAlreadyExistsError:
        return
    for name, code, *message in response.topic_errors:
        if code not in (0, TopicAlreadyExistsError.errno):
            raise TopicsUnfit(f"cannot create topic {name}: {for_code(code).__name__} {message}")
    log.info("topic_created", topic=spec.name, partitions=partitions)


async def _check_partitions(admin: AIOKafkaAdminClient, spec: TopicSpec, settings: Settings, guard: Guard) -> None:
    described: Any = await _reach(guard, admin.describe_topics, [spec.name])
    found = len(described[0]["partitions"])
    if found == 0:
        raise _KafkaDown(f"topic {spec.name} is not known to every broker yet")
    if not spec.fits(found, settings.kafka_partitions):
        raise TopicsUnfit(
            f"topic {spec.name} has {found} partitions instead of {spec.wanted(settings.kafka_partitions)}. The number "
            f"is fixed when the topics are created, because a queue's order depends on it: set KAFKA_PARTITIONS={found}"
        )


async def _reach(guard: Guard, call: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
    try:
        async with guard(CALL_SECONDS):
            return await call(*args, **kwargs)
    except TopicAlreadyExistsError:
        raise
    except Unavailable as error:
        raise _KafkaDown(str(error.__cause__ or error)) from error
    except (KafkaError, OSError, TimeoutError) as error:
        raise _KafkaDown(str(error) or type(error).__name__) from error
