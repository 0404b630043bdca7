"""Apache Kafka itself: one KRaft node, broker and controller in one Java process, on loopback."""

import base64
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path

from tocsin.stack.process import Child, Command, StartFailed, accepts_connections, start, wait_ready

_HOST = "127.0.0.1"
_START_SECONDS = 120.0  # recovery of many logs after a crash, on a busy machine
_LOG_BYTES = 256 * 1024
_LOGGING = Path(__file__).with_name("log4j2.properties")

_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs={log_dir}
auto.create.topics.enable=false
# One node: every internal topic has one copy.
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
offsets.retention.minutes=43200
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
# A laptop, started and stopped often.
group.initial.rebalance.delay.ms=0
# After a kill -9 the controller waits this long for the old incarnation of the only broker.
broker.session.timeout.ms=4000
broker.heartbeat.interval.ms=1000
group.min.session.timeout.ms=1000
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
num.network.threads=2
num.io.threads=4
background.threads=2
log.cleaner.dedupe.buffer.size=16777216
log.segment.delete.delay.ms=1000
"""

_NEWER_DATA = ("UnsupportedVersionException", "No MetadataVersion with feature level")
"""What a node says of metadata that a newer Kafka has written, before it ends."""

_JAVA_OPTIONS = ("-Xms64m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:-UsePerfData", "-Djava.awt.headless=true")


@dataclass(frozen=True)
class KafkaProgram:
    """A Java and the folder of Kafka's jars. options: further ones of the JVM."""

    java: Path
    jars: Path
    options: tuple[str, ...] = ()

    def argv(self, *words: str) -> list[str]:
        """A command line of a main class and its arguments."""
        return [
            str(self.java),
            *_JAVA_OPTIONS,
            *self.options,
            f"-Dlog4j2.configurationFile={_LOGGING}",
            "-cp",
            ":".join(sorted(str(jar) for jar in self.jars.glob("*.jar"))),
            *words,
        ]


def configure(data: Path, port: int, controller_port: int) -> Path:
    """Write server.properties for these ports; the ports may differ from the last run's."""
    data.mkdir(parents=True, exist_ok=True)
    properties = data / "server.properties"
    properties.write_text(
        _PROPERTIES.format(host=_HOST, port=port, controller_port=controller_port, log_dir=(data / "log").resolve())
    )
    return properties


def format_storage(program: KafkaProgram, properties: Path) -> None:
    """Give a new data directory its cluster id; a formatted one is left as it is. Blocks about a second."""
    if (properties.parent / "log" / "meta.properties").exists():
        return
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    argv = program.argv("kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "-c", str(properties))
    done = subprocess.run(argv, capture_output=True, text=True, timeout=_START_SECONDS, check=False)
    if done.returncode != 0:
        raise StartFailed(f"Kafka could not format its storage: {(done.stderr or done.stdout).strip()[-500:]}")


def launch(program: KafkaProgram, properties: Path, log_file: Path) -> Child:
    """Start the node; it is ready when wait_listening returns. SIGTERM closes its logs in order, in about 1 s."""
    argv = program.argv("kafka.Kafka", str(properties))
    return start(Command("kafka", argv, log_file, stop_seconds=30))


async def wait_listening(child: Child, port: int) -> None:
    """Wait until the node takes connections, which it does only once it can serve. Raises StartFailed."""
    await wait_ready(child, lambda: accepts_connections(port), seconds=_START_SECONDS)


def has_newer_data(log_file: Path, begin: int) -> bool:
    """Whether the node ended because a newer Kafka has written its data. begin: where its log began this time."""
    with log_file.open("rb") as log:
        log.seek(begin)
        said = log.read(_LOG_BYTES).decode(errors="replace")
    return any(words in said for words in _NEWER_DATA)
