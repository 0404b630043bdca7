"""What Kafka's user may do, as the broker itself tells it: nothing is written, joined or created to find out.

aiokafka has no call for this; the requests below are Kafka's own, by the definitions of its protocol.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple, cast

from aiokafka.errors import IncompatibleBrokerVersion
from aiokafka.protocol.admin import DescribeGroupsRequest
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    Array,
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Int64,
    Schema,
    String,
    TaggedFields,
)

from tocsin.doctor.finding import Finding, bad
from tocsin.settings import Settings
from tocsin.topics import Topics

READ, WRITE = "Read", "Write"
_BITS: Mapping[str, int] = {READ: 1 << 3, WRITE: 1 << 4}
"""Numbers of Kafka's AclOperation, as they stand in the answer."""
_NOT_TOLD = -(2**31)
_TOPIC_REFUSED, _GROUP_REFUSED, _TRANSACTIONAL_ID_REFUSED = 29, 30, 53
"""Kafka's error codes (org.apache.kafka.common.protocol.Errors)."""


class Need(NamedTuple):
    """A right as kafka-acls.sh names it. option: `--topic` and its like. is_prefix: on all whose name begins so."""

    option: str
    operation: str
    name: str
    is_prefix: bool = False

    @property
    def words(self) -> str:
        return f"{self.operation.lower()} {self.option.removeprefix('--')} {self.name}{'*' if self.is_prefix else ''}"


def needs(service: str, topics: Topics) -> list[Need]:
    """The least rights of a service; docs/kafka.md has the same as commands, and a test compares."""
    of_tables = (topics.queues, topics.schedulers, topics.sources)
    read: Mapping[str, tuple[str, ...]] = {
        "bridge": (topics.cursors, topics.jobs, topics.schedulers, topics.actions),
        "logsvc": (topics.jobs, topics.logs, *of_tables, topics.deadletter),
        "bot": (topics.jobs, *of_tables, topics.probes),
    }
    write: Mapping[str, tuple[str, ...]] = {
        "bridge": (topics.jobs, topics.logs, *of_tables, topics.cursors, topics.deadletter, topics.actions),
        "logsvc": (topics.deadletter, topics.logs),
        "bot": (topics.logs, topics.probes),
    }
    found = [Need("--topic", READ, name) for name in read[service]]
    found += [Need("--topic", WRITE, name) for name in write[service]]
    if service == "bridge":
        own = f"{topics.prefix}bridge-"
        return [*found, Need("--group", READ, own, True), Need("--transactional-id", WRITE, own, True)]
    return [*found, Need("--group", READ, f"{topics.prefix}{service}")]


async def missing_rights(admin: Any, settings: Settings, services: Sequence[str]) -> tuple[set[str], list[Finding]]:
    """The topics that may not even be seen, and what is missing of all rights. Nothing where the broker does not tell.

    A topic that is not there yet tells no rights.
    """
    wanted = list(dict.fromkeys(need for service in services for need in needs(service, settings.topics)))
    try:
        topics = await _topics(admin, {need.name for need in wanted if need.option == "--topic"})
        refused = await _refused_names(admin, wanted)
    except (IncompatibleBrokerVersion, NotImplementedError):
        return set(), []
    hidden = {name for name, operations in topics.items() if operations == 0}
    missing = [
        need
        for need in wanted
        if need in refused or (need.option == "--topic" and not topics.get(need.name, _NOT_TOLD) & _all_or(need))
    ]
    return hidden, [_told(settings, missing)] if missing else []


def _all_or(need: Need) -> int:
    """The bits one of which must be there: what is not told counts as granted."""
    return _BITS[need.operation] | _NOT_TOLD


def _told(settings: Settings, missing: Sequence[Need]) -> Finding:
    user = settings.kafka_sasl_username or "PRINCIPAL"
    words = ", ".join(need.words for need in missing)
    return bad("Kafka rights", f"user {user} may not: {words}", " && ".join(_commands(settings, user, missing)))


def _commands(settings: Settings, user: str, missing: Sequence[Need]) -> Iterator[str]:
    head = f"kafka-acls.sh --bootstrap-server {settings.kafka_bootstrap_servers} --add --allow-principal User:{user}"
    for (option, operation, is_prefix), same in groupby(
        missing, lambda need: (need.option, need.operation, need.is_prefix)
    ):
        names = " ".join(f"{option} {need.name}" for need in same)
        describe = " --operation Describe" if option == "--transactional-id" else ""
        pattern = " --resource-pattern-type prefixed" if is_prefix else ""
        yield f"{head} --operation {operation}{describe} {names}{pattern}"


async def _topics(admin: Any, names: set[str]) -> dict[str, int]:
    """What may be done with each topic, as bits; 0 for one that may not be seen."""
    answer = await _ask(admin, _Metadata(sorted(names)))
    return {
        topic["topic"]: 0 if topic["error_code"] == _TOPIC_REFUSED else topic["operations"] or _NOT_TOLD
        for topic in answer["topics"]
    }


async def _refused_names(admin: Any, wanted: Sequence[Need]) -> set[Need]:
    """The groups and transactional ids that the broker says are none of ours."""
    found: set[Need] = set()
    for need in wanted:
        name = f"{need.name}doctor" if need.is_prefix else need.name
        if need.option == "--group":
            [group] = (await _ask(admin, DescribeGroupsRequest([name])))["groups"]
            found |= {need} if group["error_code"] == _GROUP_REFUSED else set()
        elif need.option == "--transactional-id":
            [one] = (await _ask(admin, _DescribeTransactions([name])))["states"]
            found |= {need} if one["error_code"] == _TRANSACTIONAL_ID_REFUSED else set()
    return found


async def _ask(admin: Any, request: Any) -> dict[str, Any]:
    return cast(Response, await admin._send_request(request)).to_object()


class _MetadataAnswer(Response):
    API_KEY, API_VERSION = 3, 8
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            Array(("node_id", Int32), ("host", String("utf-8")), ("port", Int32), ("rack", String("utf-8"))),
        ),
        ("cluster_id", String("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            Array(
                ("error_code", Int16),
                ("topic", String("utf-8")),
                ("is_internal", Boolean),
                (
                    "partitions",
                    Array(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", Array(Int32)),
                        ("isr", Array(Int32)),
                        ("offline_replicas", Array(Int32)),
                    ),
                ),
                ("operations", Int32),
            ),
        ),
        ("operations", Int32),
    )


class _MetadataQuestion(RequestStruct):
    API_KEY, API_VERSION, RESPONSE_TYPE = 3, 8, _MetadataAnswer
    SCHEMA = Schema(
        ("topics", Array(String("utf-8"))),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
    )


class _Metadata(Request[_MetadataQuestion]):
    API_KEY = 3

    def __init__(self, topics: list[str]) -> None:
        self._topics = topics

    def build(self, request_struct_class: type[_MetadataQuestion]) -> _MetadataQuestion:
        return request_struct_class(self._topics, False, False, True)


class _TransactionsAnswer(Response):
    API_KEY, API_VERSION = 65, 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "states",
            CompactArray(
                ("error_code", Int16),
                ("transactional_id", CompactString("utf-8")),
                ("state", CompactString("utf-8")),
                ("timeout_ms", Int32),
                ("start_time_ms", Int64),
                ("producer_id", Int64),
                ("producer_epoch", Int16),
                (
                    "topics",
                    CompactArray(
                        ("topic", CompactString("utf-8")),
                        ("partitions", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _TransactionsQuestion(RequestStruct):
    FLEXIBLE_VERSION = True
    API_KEY, API_VERSION, RESPONSE_TYPE = 65, 0, _TransactionsAnswer
    SCHEMA = Schema(("transactional_ids", CompactArray(CompactString("utf-8"))), ("tags", TaggedFields))


class _DescribeTransactions(Request[_TransactionsQuestion]):
    API_KEY = 65

    def __init__(self, transactional_ids: list[str]) -> None:
        self._ids = transactional_ids

    def build(self, request_struct_class: type[_TransactionsQuestion]) -> _TransactionsQuestion:
        return request_struct_class(self._ids, {})
