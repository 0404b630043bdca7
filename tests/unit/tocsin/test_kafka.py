"""The arguments every Kafka client of ours is made with."""

import inspect
import ssl
from pathlib import Path
from typing import Any

import pytest

from tests.clients import aiokafka_admin
from tests.unit.tocsin.circuits import settings
from tocsin.kafka import client_options

SASL = {
    "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
    "KAFKA_SASL_USERNAME": "tocsin",
    "KAFKA_SASL_PASSWORD": "hunter2-hunter2",
}
LOGIN = {
    "sasl_mechanism": "SCRAM-SHA-512",
    "sasl_plain_username": "tocsin",
    "sasl_plain_password": "hunter2-hunter2",
}
PLAIN = {"bootstrap_servers": "localhost:9092", "client_id": "bridge"}


def options(**environ: str) -> dict[str, Any]:
    return client_options(settings(**environ), "bridge")


def test_plaintext_needs_nothing_else() -> None:
    assert options() == PLAIN | {"security_protocol": "PLAINTEXT"}


def test_a_login_is_handed_on_in_clear() -> None:
    protocol = "SASL_PLAINTEXT"
    assert options(KAFKA_SECURITY_PROTOCOL=protocol, **SASL) == PLAIN | LOGIN | {"security_protocol": protocol}


def test_tls_checks_the_broker_by_default() -> None:
    given = options(KAFKA_SECURITY_PROTOCOL="SSL")
    context: ssl.SSLContext = given.pop("ssl_context")
    assert given == PLAIN | {"security_protocol": "SSL"}
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED


def test_tls_and_a_login_go_together() -> None:
    given = options(KAFKA_SECURITY_PROTOCOL="SASL_SSL", **SASL)
    assert LOGIN.items() <= given.items()
    assert isinstance(given["ssl_context"], ssl.SSLContext)


@pytest.mark.parametrize("name", ["KAFKA_SSL_CAFILE", "KAFKA_SSL_CERTFILE"])
def test_a_file_that_is_no_certificate_is_an_error_of_its_own(tmp_path: Path, name: str) -> None:
    (tmp_path / "pem").write_text("no certificate")
    with pytest.raises(ssl.SSLError):
        options(KAFKA_SECURITY_PROTOCOL="SSL", **{name: str(tmp_path / "pem")})


def test_aiokafka_knows_every_argument() -> None:
    known = inspect.signature(aiokafka_admin.AIOKafkaAdminClient).parameters
    assert set(options(KAFKA_SECURITY_PROTOCOL="SASL_SSL", **SASL)) - set(known) == set()
