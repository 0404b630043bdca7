"""Which Kafka this is. A broker does not tell its release, but the metadata versions it knows, and these tell it.

aiokafka asks for the older form of the answer, without them; the request below is Kafka's own (KIP-584, KIP-778).
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any, cast

from aiokafka.errors import KafkaError
from aiokafka.protocol.api import Request, RequestStruct, Response, ResponseHeader_v0
from aiokafka.protocol.types import CompactArray, CompactString, Int16, Int32, Schema, TaggedFields

from tocsin.doctor.finding import Finding, note, ok, warn

_RELEASES = ("3.3", "3.4", "3.5", "3.6", "3.7", "3.8", "3.9", "4.0", "4.1", "4.2", "4.3", "4.4")
_LAST_LEVELS = (7, 8, 11, 14, 19, 20, 21, 25, 27, 29, 30, 33)
"""The last metadata version of each (org.apache.kafka.server.common.MetadataVersion)."""
_LEAVE_HANGING = {"4.3", "4.4"}
_SUPPORTED, _METADATA = 0, "metadata.version"


async def release_of(admin: Any, node: int) -> tuple[str, int] | None:
    """The release of a broker and the newest metadata version it knows; None if it does not tell.

    Kafka before 3.3, and services that only speak its protocol, tell none.
    """
    try:
        answer = await admin._send_request_to_node(node, _Versions())
    except (KafkaError, NotImplementedError, OSError):
        return None
    level = _levels(cast(Mapping[int, bytes], answer.tags).get(_SUPPORTED, b"\x01")).get(_METADATA)
    return None if level is None else (release_of_level(level), level)


def release_of_level(level: int) -> str:
    place = bisect_left(_LAST_LEVELS, level)
    if place == len(_RELEASES):
        return f"newer than {_RELEASES[-1]}"
    return _RELEASES[place] if level >= _LAST_LEVELS[0] else f"older than {_RELEASES[0]}"


def judge(releases: Sequence[tuple[str, int] | None], brokers: int, lonely: Sequence[str]) -> Finding:
    """releases: what each broker told. lonely: our topics that have one replica somewhere."""
    told = dict(sorted(filter(None, releases), key=lambda told: told[1]))
    if not told:
        return note("Kafka release", "it does not tell; Tocsin needs what Kafka 3.0 or newer can do")
    found = f"{' and '.join(told)} (knows metadata.version {' and '.join(map(str, told.values()))})"
    if told.keys() & _LEAVE_HANGING and (brokers == 1 or lonely):
        where = "one broker" if brokers == 1 else f"one replica of {', '.join(lonely)}"
        return warn(
            "Kafka release",
            f"{found}, and {where}: killed there, it may leave a transaction hanging and nobody reads on (KAFKA-20734)",
            "run Kafka 4.2, or three brokers with three replicas   (docs/kafka.md: a transaction that hangs)",
        )
    return ok("Kafka release", found)


def _levels(supported: bytes) -> dict[str, int]:
    """Feature -> the newest version of it that the broker knows."""
    return {name: newest for name, _, newest, _ in _FEATURES.decode(BytesIO(supported)) or ()}


_FEATURES = CompactArray(
    ("name", CompactString("utf-8")), ("min_version", Int16), ("max_version", Int16), ("tags", TaggedFields)
)


class _VersionsAnswer(Response):
    API_KEY = 18
    API_VERSION = 3
    SCHEMA = Schema(
        ("error_code", Int16),
        (
            "api_versions",
            CompactArray(("api_key", Int16), ("min_version", Int16), ("max_version", Int16), ("tags", TaggedFields)),
        ),
        ("throttle_time_ms", Int32),
        ("tags", TaggedFields),
    )


class _VersionsStruct(RequestStruct):
    API_KEY = 18
    API_VERSION = 3
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _VersionsAnswer
    SCHEMA = Schema(
        ("client_software_name", CompactString("utf-8")),
        ("client_software_version", CompactString("utf-8")),
        ("tags", TaggedFields),
    )

    def parse_response_header(self, read_buffer: BytesIO | bytes) -> ResponseHeader_v0:
        """Of this answer alone the header is never flexible: an old broker's must be readable too."""
        return ResponseHeader_v0.decode(read_buffer)


class _Versions(Request[_VersionsStruct]):
    API_KEY = 18

    def build(self, request_struct_class: type[_VersionsStruct]) -> _VersionsStruct:
        return request_struct_class("tocsin-doctor", "1", {})
