"""Get Apicurio Registry onto this machine: one archive from Maven, whose sha256 is pinned here."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

from penstock.devkafka import lock, maven
from penstock.devkafka.errors import InstallError, TamperedError
from penstock.devkafka.filelock import exclusive
from penstock.devkafka.install import Progress

GROUP, ARTIFACT, VERSION = "io.apicurio", "apicurio-registry-app", "3.3.3"
SHA256 = "8bc6751c76d963734224b01d5e7f84ccb3cb61c87d3bd77c36c35f10a5cbed63"
MAIN = "quarkus-run.jar"


def install(home: Path, progress: Progress) -> Path:
    """Return the folder of the registry's program, downloading it (about 160 MB) if it is not there yet."""
    root = _root(home)
    folder = root / f"apicurio-registry-{VERSION}"
    if not folder.exists():
        root.mkdir(parents=True, exist_ok=True)
        with exclusive(root / ".lock"):
            if not folder.exists():
                _download(folder, progress)
    return folder


def _root(home: Path) -> Path:
    shared = os.environ.get("PENSTOCK_REGISTRY_DIST")
    return Path(shared).absolute() if shared else home.absolute() / "registry" / "dist"


def _download(folder: Path, progress: Progress) -> None:
    progress(f"Installing Apicurio Registry {VERSION} into {folder} (about 160 MB, once)")
    try:
        with TemporaryDirectory(prefix=".installing-", dir=folder.parent) as scratch:
            archive = _archive(Path(scratch) / "m2")
            got = lock.sha256(archive)
            if got != SHA256:
                raise TamperedError(
                    f"{archive.name} as downloaded is not the file that is pinned (sha256 {got}, not {SHA256}). Nothing was "
                    "installed. Check the Maven mirror or proxy that this machine uses."
                )
            staging = Path(scratch) / "program"
            with tarfile.open(archive) as packed:
                packed.extractall(staging, filter="data")
            staging.rename(folder)  # in one step: it is all there or not there
    except (OSError, tarfile.TarError) as error:
        raise InstallError(f"Installing Apicurio Registry into {folder} failed: {error}") from error


def _archive(cache: Path) -> Path:
    try:
        version = maven.context(cache).project(GROUP, ARTIFACT).at_version(VERSION)
        found: Path = version.artifact(classifier="all", packaging="tar.gz").resolve()
    except Exception as error:  # jgo raises what it likes: requests' errors, RuntimeError, AssertionError
        raise InstallError(
            f"Downloading {GROUP}:{ARTIFACT}:{VERSION} failed: {error}\nCheck the network, HTTPS_PROXY, and the Maven mirror if "
            "you use one (PENSTOCK_MAVEN_REPOSITORY, ~/.m2/settings.xml), then start again."
        ) from error
    return found
