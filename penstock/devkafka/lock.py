"""The lock file: which jars make up the embedded Kafka, by coordinate and sha256; nothing of where they come from.

`python -m penstock.devkafka.lock` resolves anew and rewrites it (change KAFKA or LOG4J first).
"""

import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from penstock.devkafka import maven

KAFKA = "4.4.0"
SCALA = "2.13"
LOG4J = "2.25.5"  # must be the log4j-core that Kafka itself brings, else its binding does not fit
LOCK_FILE = Path(__file__).with_name("kafka.lock")
TOOLS_FILE = Path(__file__).with_name("tools.lock")
"""The jar of `kafka-acls.sh` and its like: what the broker does not need, and what itself needs nothing more for what is used here."""


@dataclass(frozen=True, slots=True)
class LockedJar:
    """One line of the lock."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def coordinate(self) -> str:
        """Return it as Maven writes it."""
        return f"{self.group}:{self.artifact}:{self.version}"

    @property
    def filename(self) -> str:
        """Return its file name in the distribution, which is flat."""
        return f"{self.artifact}-{self.version}.jar"


@dataclass(frozen=True, slots=True)
class Lock:
    """The whole lock; `version` is Kafka's."""

    version: str
    jars: tuple[LockedJar, ...]


def read(path: Path = LOCK_FILE) -> Lock:
    """Read the lock that is shipped with the package."""
    rows = [line.split() for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]
    jars = tuple(_locked(coordinate, digest) for coordinate, digest in rows)
    return Lock(next(jar.version for jar in jars if jar.artifact in (f"kafka_{SCALA}", "kafka-tools")), jars)


def _locked(coordinate: str, digest: str) -> LockedJar:
    group, artifact, version = coordinate.split(":")
    return LockedJar(group, artifact, version, digest)


def sha256(path: Path) -> str:
    """Return the file's sha256 in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def resolve() -> list[LockedJar]:
    """Ask Maven what Kafka needs.

    The logger is resolved apart and without what it depends on: log4j's own BOM would otherwise manage kafka-clients
    down to the version that log4j was built with.
    """
    kafka = f"org.apache.kafka:kafka_{SCALA}:{KAFKA}"
    logger = f"org.apache.logging.log4j:log4j-slf4j-impl:{LOG4J}"
    with TemporaryDirectory() as folder:
        context = maven.context(Path(folder))
        artifacts = [*maven.resolve(context, kafka), *maven.resolve(context, logger)[:1]]
        jars = [LockedJar(a.groupId, a.artifactId, a.version, sha256(a.resolve())) for a in artifacts]
    return sorted(jars, key=lambda jar: jar.coordinate)


def resolve_tools() -> list[LockedJar]:
    """Ask Maven for the jar of the tools alone."""
    with TemporaryDirectory() as folder:
        tools = maven.resolve(maven.context(Path(folder)), f"org.apache.kafka:kafka-tools:{KAFKA}")
        (jar,) = (artifact for artifact in tools if artifact.artifactId == "kafka-tools")
        return [LockedJar(jar.groupId, jar.artifactId, jar.version, sha256(jar.resolve()))]


def write(jars: list[LockedJar], path: Path = LOCK_FILE) -> None:
    """Write the lock, one jar a line."""
    head = "# The jars of the embedded Kafka: coordinate, sha256. Made by `python -m penstock.devkafka.lock`.\n"
    path.write_text(head + "".join(f"{jar.coordinate} {jar.sha256}\n" for jar in jars))


if __name__ == "__main__":
    write(resolve())
    write(resolve_tools(), TOOLS_FILE)
    sys.stderr.write(f"{LOCK_FILE}: {len(read().jars)} jars of Kafka {KAFKA}\n")
