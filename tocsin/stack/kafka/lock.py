"""Make jars.lock from pom.xml: `python -m tocsin.stack.kafka.lock` (needs Maven; run it after changing the pom).

One line a jar: `group:artifact:version sha256 bytes`. Whatever brings the jars later, their bytes are checked
against it.
"""

import hashlib
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

POM = Path(__file__).with_name("pom.xml")
LOCK = Path(__file__).with_name("jars.lock")


@dataclass(frozen=True)
class Jar:
    """One pinned artifact; sha256 in hex."""

    group: str
    artifact: str
    version: str
    sha256: str
    size: int

    @property
    def file_name(self) -> str:
        return f"{self.artifact}-{self.version}.jar"

    @property
    def path(self) -> str:
        """Where every Maven repository keeps it, relative to its base."""
        return f"{self.group.replace('.', '/')}/{self.artifact}/{self.version}/{self.file_name}"

    @property
    def coordinates(self) -> str:
        return f"{self.group}:{self.artifact}:{self.version}"

    def matches(self, content: bytes) -> bool:
        return len(content) == self.size and hashlib.sha256(content).hexdigest() == self.sha256


def read_lock(lock: Path = LOCK) -> tuple[Jar, ...]:
    """The jars of jars.lock, in its order."""
    jars: list[Jar] = []
    for line in lock.read_text().splitlines():
        if line and not line.startswith("#"):
            coordinates, sha256, size = line.split()
            group, artifact, version = coordinates.split(":")
            jars.append(Jar(group, artifact, version, sha256, int(size)))
    return tuple(jars)


def _resolve(pom: Path) -> list[Jar]:
    listing = subprocess.run(
        ["mvn", "-B", "-f", str(pom), "dependency:list", "-DincludeScope=runtime", "-DoutputAbsoluteArtifactFilename"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    jars: list[Jar] = []
    for group, artifact, version, file in re.findall(r"([\w.-]+):([\w.-]+):jar:([\w.-]+):\w+:(/\S+\.jar)", listing):
        content = Path(file).read_bytes()
        jars.append(Jar(group, artifact, version, hashlib.sha256(content).hexdigest(), len(content)))
    return sorted(jars, key=lambda jar: jar.coordinates)


def main() -> int:
    """Rewrite jars.lock."""
    jars = _resolve(POM)
    lines = [f"{jar.coordinates} {jar.sha256} {jar.size}" for jar in jars]
    LOCK.write_text(
        "# Made from pom.xml by python -m tocsin.stack.kafka.lock; do not edit.\n" + "\n".join(lines) + "\n"
    )
    sys.stdout.write(f"{len(jars)} jars, {sum(jar.size for jar in jars) / 1e6:.0f} MB\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
