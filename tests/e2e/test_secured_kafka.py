"""The main job where Kafka lets nobody in without TLS and a password, and gives each service its documented rights."""

from pathlib import Path

from tests.certificate import make_certificate
from tests.e2e.main_job import EPHEMERAL, do_main_job
from tests.product import product
from tests.servers.secured_kafka import PASSWORD, SecuredKafka, secured_kafka
from tocsin.doctor.finding import Verdict
from tocsin.doctor.kafka import check_kafka
from tocsin.topics import Topics

QUEUES = ["orders", "mails", EPHEMERAL]
PREFIX = "team-a.tocsin."


async def test_the_main_job_runs_under_the_rights_that_the_docs_give(
    redis_url: str, postgres_url: str, tmp_path: Path
) -> None:
    async with (
        secured_kafka(tmp_path) as kafka,
        product(tmp_path, kafka=kafka.plain, prefix=PREFIX, redis=redis_url, postgres=postgres_url) as tocsin,
    ):
        kafka.create_topics(Topics(PREFIX), 8)
        kafka.give_documented_rights(PREFIX)
        tocsin.own |= {service: kafka.settings(service) for service in ("bridge", "logsvc", "bot")}
        for service in ("sandbox", "logsvc", "bridge", "bot"):
            await tocsin.start(service)
        await tocsin.ready()
        await do_main_job(tocsin, redis_url, QUEUES, jobs=500, rate=200)
        [services] = await tocsin.query("SELECT DISTINCT service FROM journal WHERE service != '' ORDER BY service")
        assert services == [["bot"], ["bridge"], ["logsvc"]], "somebody's own log lines are missing"
        for service in ("bridge", "logsvc", "bot"):
            said = tocsin.log(service)
            assert PASSWORD not in said
            assert "Authorization" not in said, f"{service} was refused something"
            await assert_the_doctor_names_what_is_missing(kafka, service)
        (tmp_path / "other").mkdir()
        await assert_the_doctor_tells_a_wrong_ca_from_a_wrong_password(kafka, make_certificate(tmp_path / "other"))


async def assert_the_doctor_names_what_is_missing(kafka: SecuredKafka, service: str) -> None:
    """Well as documented; without any right all is named, and the commands it prints mend it."""
    environ = kafka.settings(service) | {"KAFKA_TOPIC_PREFIX": PREFIX}
    assert {finding.verdict for finding in await check_kafka(environ, services=[service])} == {Verdict.OK}
    kafka.take_back(f"User:tocsin-{service}")
    rounds = 0
    while poor := [one for one in await check_kafka(environ, services=[service]) if one.verdict is Verdict.BAD]:
        assert [one.check for one in poor] == ["Kafka rights"]
        assert f"user tocsin-{service} may not:" in poor[0].found
        kafka.give(poor[0].mend.replace(" && ", "\n"))
        rounds += 1
        assert rounds < 3
    assert rounds > 0


async def assert_the_doctor_tells_a_wrong_ca_from_a_wrong_password(kafka: SecuredKafka, other_ca: Path) -> None:
    environ = kafka.settings("bot") | {"KAFKA_TOPIC_PREFIX": PREFIX}
    [finding] = await check_kafka(environ | {"KAFKA_SSL_CAFILE": str(other_ca)}, services=["bot"])
    assert "is not trusted" in finding.found
    assert "KAFKA_SSL_CAFILE" in finding.mend
    [finding] = await check_kafka(environ | {"KAFKA_SASL_PASSWORD": f"{PASSWORD}x"}, services=["bot"])
    assert "did not let us in" in finding.found
    assert "KAFKA_SASL_PASSWORD" in finding.mend
    assert PASSWORD not in str(finding)
    [finding] = await check_kafka(environ | {"KAFKA_BOOTSTRAP_SERVERS": kafka.plain}, services=["bot"])
    assert "speaks no TLS" in finding.found
