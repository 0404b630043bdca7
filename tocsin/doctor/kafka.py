"""Kafka: reachable, logged in, its release, its topics and their partitions, and what the user may do with them."""

import asyncio
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, cast

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from tocsin.doctor.environment import Unreadable, value
from tocsin.doctor.finding import Environ, Finding, bad, note, ok
from tocsin.doctor.kafka_hanging import hanging_transactions
from tocsin.doctor.kafka_release import judge, release_of
from tocsin.doctor.kafka_rights import missing_rights
from tocsin.kafka import client_options
from tocsin.lifecycle import close_within
from tocsin.settings import Settings, SettingsError, read
from tocsin.topics import TopicSpec

SECONDS = 6.0
SERVICES = ("bridge", "logsvc", "bot")
_REACH_SECONDS = 2.0

Described = Sequence[Mapping[str, Any]]
"""What the brokers say of topics, one each."""


async def check_kafka(environ: Environ, *, services: Sequence[str] = SERVICES) -> list[Finding]:
    """services: whose topics are looked for. A user is not shown the topics it has no right to."""
    if not environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        return [note("Kafka", "KAFKA_BOOTSTRAP_SERVERS is not set: `tocsin up` runs its own")]
    try:
        settings = read(Settings, _known(environ))
    except SettingsError:
        return []  # told by the check of the settings
    servers = settings.kafka_bootstrap_servers
    if not await _any_reachable(servers):
        return [
            bad(
                "Kafka",
                f"nothing listens at {servers}",
                f"is it up, and open to this machine? kafka-broker-api-versions.sh --bootstrap-server {servers}   "
                "(address: KAFKA_BOOTSTRAP_SERVERS)",
            )
        ]
    try:
        options = client_options(settings, "tocsin-doctor")
    except (OSError, ssl.SSLError) as error:
        return [bad("Kafka", f"a certificate cannot be used: {error}", "check KAFKA_SSL_CAFILE, _CERTFILE, _KEYFILE")]
    if (problem := await _tls_problem(servers, options.get("ssl_context"))) is not None:
        return [problem]
    admin = AIOKafkaAdminClient(**options, request_timeout_ms=3000)
    try:
        async with asyncio.timeout(SECONDS):
            await admin.start()
            return await _examine(admin, settings, services)
    except (KafkaError, OSError, TimeoutError, AttributeError) as error:
        return [_silent(settings, error)]
    finally:
        with suppress(KafkaError, OSError):
            await close_within(2, admin.close())


async def _examine(admin: Any, settings: Settings, services: Sequence[str]) -> list[Finding]:
    cluster = cast(Mapping[str, Any], await admin.describe_cluster())
    brokers = cast(Sequence[Mapping[str, Any]], cluster["brokers"])
    count = f"{len(brokers)} broker{'' if len(brokers) == 1 else 's'}"
    findings = [ok("Kafka", f"{count} behind {settings.kafka_bootstrap_servers}")]
    factor = settings.kafka_replication_factor
    if factor > len(brokers):
        findings.append(
            bad(
                "Kafka replication",
                f"KAFKA_REPLICATION_FACTOR is {factor}, but there is {count}",
                f"export KAFKA_REPLICATION_FACTOR={len(brokers)}",
            )
        )
    hidden, refused = await missing_rights(admin, settings, services)
    seen = [spec for spec in settings.topics.used_by(services) if spec.name not in hidden]
    there = set(cast(Sequence[str], await admin.list_topics()))
    names = [spec.name for spec in seen if spec.name in there]
    described: Described = await admin.describe_topics(names) if names else []
    releases = await asyncio.gather(*(release_of(admin, broker["node_id"]) for broker in brokers))
    findings.append(judge(releases, len(brokers), sorted(_with_one_replica(described))))
    return [*findings, *refused, *await _topics(settings, seen, described)]


def _with_one_replica(described: Described) -> Iterator[str]:
    for topic in described:
        if any(len(partition["replicas"]) == 1 for partition in topic["partitions"]):
            yield topic["topic"]


async def _topics(settings: Settings, specs: Sequence[TopicSpec], described: Described) -> list[Finding]:
    partitions = {str(topic["topic"]): len(topic["partitions"]) for topic in described}
    absent = [spec for spec in specs if spec.name not in partitions]
    present = [spec for spec in specs if spec.name in partitions]
    findings = [_absent(spec, settings) for spec in absent] if settings.kafka_topics_create == "check" else []
    if absent and settings.kafka_topics_create == "auto":
        findings.append(note("Kafka topics", f"{len(absent)} of {len(specs)} are not there yet; bridge creates them"))
    wrong = [spec for spec in present if not spec.fits(partitions[spec.name], settings.kafka_partitions)]
    findings += [_wrong_count(spec, partitions[spec.name], settings) for spec in wrong]
    findings += await hanging_transactions(settings, {spec.name: partitions[spec.name] for spec in present})
    if specs and not absent and not wrong:
        findings.append(ok("Kafka topics", f"all {len(specs)} under {settings.kafka_topic_prefix}*"))
    return findings


def _absent(spec: TopicSpec, settings: Settings) -> Finding:
    configs = " ".join(f"--config {name}={setting}" for name, setting in spec.configs.items())
    return bad(
        f"Kafka topic {spec.name}",
        "is absent, and KAFKA_TOPICS_CREATE is check",
        f"kafka-topics.sh --bootstrap-server {settings.kafka_bootstrap_servers} --create --topic {spec.name} "
        f"--partitions {spec.wanted(settings.kafka_partitions)} "
        f"--replication-factor {settings.kafka_replication_factor} {configs}   "
        "(or let Tocsin do it: export KAFKA_TOPICS_CREATE=auto)",
    )


def _wrong_count(spec: TopicSpec, found: int, settings: Settings) -> Finding:
    return bad(
        f"Kafka topic {spec.name}",
        f"has {found} partitions, KAFKA_PARTITIONS says {settings.kafka_partitions}; a queue's order depends on it",
        f"export KAFKA_PARTITIONS={found}   (the same for every service; all topics need the same number)",
    )


def _silent(settings: Settings, error: BaseException) -> Finding:
    where = settings.kafka_bootstrap_servers
    if settings.kafka_security_protocol.startswith("SASL"):
        return bad(
            "Kafka",
            f"{where} is open but did not let us in ({type(error).__name__}): "
            f"{settings.kafka_security_protocol}, {settings.kafka_sasl_mechanism or 'no mechanism'}",
            "check KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD against the broker's users",
        )
    if settings.kafka_security_protocol == "SSL":
        return bad(
            "Kafka",
            f"{where} speaks TLS but did not let us in ({type(error).__name__})",
            "set KAFKA_SSL_CERTFILE and KAFKA_SSL_KEYFILE if the brokers ask for a certificate; or is it SASL_SSL?",
        )
    return bad(
        "Kafka",
        f"{where} is open but does not speak plain Kafka to us ({type(error).__name__})",
        "export KAFKA_SECURITY_PROTOCOL=SASL_SSL (or SSL) if the broker asks for it; "
        "and its advertised.listeners must be reachable from here",
    )


async def _tls_problem(servers: str, context: ssl.SSLContext | None) -> Finding | None:
    """What is wrong with TLS at one of the servers that are open. context None: none is spoken."""
    if context is None:
        return None
    for server in servers.split(","):
        host, _, port = server.strip().rpartition(":")
        try:
            async with asyncio.timeout(_REACH_SECONDS):
                _, writer = await asyncio.open_connection(host.strip("[]"), int(port), ssl=context)
        except ssl.SSLCertVerificationError as error:
            return bad(
                "Kafka",
                f"the certificate of {server.strip()} is not trusted: {error.verify_message}",
                "export KAFKA_SSL_CAFILE=…   the file of the CA that signed the brokers' certificates",
            )
        except (ssl.SSLError, TimeoutError, ConnectionResetError) as error:
            return bad(
                "Kafka",
                f"{server.strip()} is open but speaks no TLS ({type(error).__name__})",
                "is it the TLS listener's port? without one: KAFKA_SECURITY_PROTOCOL=SASL_PLAINTEXT or PLAINTEXT",
            )
        except (OSError, ValueError):
            continue  # another one was reachable
        writer.close()
    return None


async def _any_reachable(servers: str) -> bool:
    outcomes = await asyncio.gather(*(_is_reachable(server.strip()) for server in servers.split(",")))
    return any(outcomes)


async def _is_reachable(server: str) -> bool:
    host, _, port = server.rpartition(":")
    try:
        async with asyncio.timeout(_REACH_SECONDS):
            _, writer = await asyncio.open_connection(host.strip("[]") or server, int(port) if host else 9092)
    except (OSError, ValueError, TimeoutError):
        return False
    writer.close()
    return True


def _known(environ: Environ) -> Environ:
    """The environment with what the check needs and nothing that could be wrong elsewhere."""
    given = {name: text for name, text in environ.items() if name.startswith("KAFKA_")}
    with suppress(Unreadable):
        if password := value(environ, "KAFKA_SASL_PASSWORD"):
            given = {name: text for name, text in given.items() if not name.startswith("KAFKA_SASL_PASSWORD")}
            return {**given, "KAFKA_SASL_PASSWORD": password}
    return given
