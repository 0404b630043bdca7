"""A Kafka as a company runs one: TLS, SCRAM, a right for everything, and nobody may create a topic by using it.

It has a second listener in plain text for the test itself, whose anonymous user may do all.
"""

import argparse
import os
import re
import shlex
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.certificate import make_certificate
from tests.clients import confluent_admin as admin
from tests.eventually import READY_SECONDS
from tests.ports import free_port
from tocsin.stack.cache import cache_dir
from tocsin.stack.kafka import find_kafka
from tocsin.stack.kafka.coordinators import wait_for_coordinators
from tocsin.stack.kafka.server import configure, format_storage, launch, wait_listening
from tocsin.topics import Topics

DOCS = Path(__file__).parents[2] / "docs" / "kafka.md"
PASSWORD = "canary-scram-5e1f"
_SECURED = """\
listeners=SECURED://127.0.0.1:{secured},PLAINTEXT://127.0.0.1:{plain},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=SECURED://127.0.0.1:{secured},PLAINTEXT://127.0.0.1:{plain}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SECURED:SASL_SSL
sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.secured.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.secured.ssl.keystore.type=PEM
listener.name.secured.ssl.keystore.location={certificate}
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=false
super.users=User:ANONYMOUS
"""


@dataclass(frozen=True)
class SecuredKafka:
    """plain: the test's own way in. secured: everybody else's. certificate: the CA's file, with the server's."""

    plain: str
    secured: str
    certificate: Path

    def settings(self, service: str) -> dict[str, str]:
        """How this service logs in."""
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.secured,
            "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
            "KAFKA_SASL_USERNAME": f"tocsin-{service}",
            "KAFKA_SASL_PASSWORD": PASSWORD,
            "KAFKA_SSL_CAFILE": str(self.certificate),
            "KAFKA_TOPICS_CREATE": "check",
        }

    def create_topics(self, topics: Topics, partitions: int) -> None:
        """Make the contract's topics, as an administrator does."""
        made = [
            admin.NewTopic(
                spec.name, num_partitions=spec.wanted(partitions), replication_factor=1, config=dict(spec.configs)
            )
            for spec in topics.specs()
        ]
        for answer in self._admin.create_topics(made).values():
            answer.result(READY_SECONDS)

    def give_documented_rights(self, prefix: str) -> None:
        """Make the users, and give them what docs/kafka.md says, word for word, under this prefix."""
        users = [
            admin.UserScramCredentialUpsertion(
                f"tocsin-{service}",
                admin.ScramCredentialInfo(admin.ScramMechanism.SCRAM_SHA_512, 4096),
                PASSWORD.encode(),
            )
            for service in ("bridge", "logsvc", "bot")
        ]
        for answer in self._admin.alter_user_scram_credentials(users).values():
            answer.result(READY_SECONDS)
        for answer in self._admin.create_acls(list(documented_rights(prefix))).values():
            answer.result(READY_SECONDS)

    def give(self, commands: str, prefix: str = "tocsin.") -> None:
        """Run `kafka-acls.sh --add` commands, one a line."""
        for answer in self._admin.create_acls(list(rights_of(commands, prefix))).values():
            answer.result(READY_SECONDS)

    def take_back(self, principal: str) -> None:
        """Take every right of a principal away."""
        anything = admin.AclBindingFilter(
            admin.ResourceType.ANY,
            None,
            admin.ResourcePatternType.ANY,
            principal,
            None,
            admin.AclOperation.ANY,
            admin.AclPermissionType.ANY,
        )
        for answer in self._admin.delete_acls([anything]).values():
            answer.result(READY_SECONDS)

    @cached_property
    def _admin(self) -> Any:
        return admin.AdminClient({"bootstrap.servers": self.plain})


def documented_rights(prefix: str) -> Iterator[Any]:
    """The rights that the `kafka-acls.sh` commands of docs/kafka.md give."""
    return rights_of(DOCS.read_text(), prefix)


def rights_of(text: str, prefix: str) -> Iterator[Any]:
    """The rights that the `kafka-acls.sh` commands of a text give, under this prefix."""
    parser = argparse.ArgumentParser(exit_on_error=False)
    for option in ("--bootstrap-server", "--command-config", "--allow-principal"):
        parser.add_argument(option)
    parser.add_argument("--resource-pattern-type", default="literal")
    for option in ("--operation", "--topic", "--group", "--transactional-id"):
        parser.add_argument(option, action="append", default=[])
    parser.add_argument("--add", action="store_true", required=True)
    commands = re.findall(r"^kafka-acls\.sh (.+)$", text.replace("\\\n", " "), re.MULTILINE)
    assert commands, "no rights are given"
    for command in commands:
        given = parser.parse_args(shlex.split(command))
        resources: Mapping[Any, list[str]] = {
            admin.ResourceType.TOPIC: given.topic,
            admin.ResourceType.GROUP: given.group,
            admin.ResourceType.TRANSACTIONAL_ID: given.transactional_id,
        }
        for kind, names in resources.items():
            for name in names:
                for operation in given.operation:
                    yield admin.AclBinding(
                        kind,
                        re.sub(r"^tocsin\.", prefix, name),
                        admin.ResourcePatternType[given.resource_pattern_type.upper()],
                        given.allow_principal,
                        "*",
                        admin.AclOperation[operation.upper()],
                        admin.AclPermissionType.ALLOW,
                    )


@asynccontextmanager
async def secured_kafka(data: Path) -> AsyncGenerator[SecuredKafka]:
    """A node of its own; it ends with the block."""
    program = await find_kafka(cache_dir(os.environ), os.environ, print)
    certificate = make_certificate(data)
    plain, secured, controller = free_port(), free_port(), free_port()
    properties = configure(data / "kafka", plain, controller)
    more = _SECURED.format(plain=plain, secured=secured, controller=controller, certificate=certificate)
    properties.write_text(properties.read_text() + more)  # of two lines with one name the later counts
    format_storage(program, properties)
    child = launch(program, properties, data / "kafka.log")
    try:
        for port in (secured, plain):  # one may be open before the other
            await wait_listening(child, port)
        await wait_for_coordinators(f"127.0.0.1:{plain}")
        yield SecuredKafka(f"127.0.0.1:{plain}", f"127.0.0.1:{secured}", certificate)
    finally:
        await child.stop()
