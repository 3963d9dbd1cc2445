"""The jars are the locked ones or nothing runs."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from penstock.devkafka import InstallError, TamperedError, install, lock, maven
from penstock.devkafka.install import verify

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]  # the jars may have to be downloaded first


@pytest.fixture
def jars(tmp_path: Path) -> Path:
    """Return a distribution of its own whose files may be spoilt."""
    folder = tmp_path / "copy"
    shutil.copytree(install(tmp_path / "home", print).jars, folder)
    return folder


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a home on a machine that has no jar anywhere."""
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    monkeypatch.delenv("M2_REPO", raising=False)
    monkeypatch.delenv("PENSTOCK_KAFKA_DIST")
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "empty"


@contextmanager
def mirror(jars: Path, folder: Path) -> Iterator[str]:
    """Serve the jars as a Maven repository does."""
    for jar in lock.read().jars:
        place = folder.joinpath(*jar.group.split("."), jar.artifact, jar.version, jar.filename)
        place.parent.mkdir(parents=True)
        place.symlink_to(jars / jar.filename)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        """Say nothing."""


def test_the_lock_names_no_place() -> None:
    text = lock.LOCK_FILE.read_text()
    assert all(re.fullmatch(r"[\w.-]+:[\w.-]+:[\w.-]+ [0-9a-f]{64}", line) for line in text.splitlines()[1:])
    assert "://" not in text
    versions = {jar.version for jar in lock.read().jars if jar.group == "org.apache.kafka"}
    assert versions == {lock.KAFKA}, "a BOM has managed one of Kafka's own jars to another version"
    loggers = {jar.version for jar in lock.read().jars if jar.group == "org.apache.logging.log4j"}
    assert loggers == {lock.LOG4J}, "the binding does not fit Kafka's own log4j"


def test_a_changed_jar_is_refused(jars: Path) -> None:
    victim = next(jars.glob("kafka-raft-*.jar"))
    victim.write_bytes(victim.read_bytes() + b"x")
    with pytest.raises(TamperedError, match=f"{victim.name}.* Delete the folder"):
        verify(lock.read(), jars)


def test_a_missing_jar_is_named(jars: Path) -> None:
    victim = next(jars.glob("kafka-raft-*.jar"))
    victim.unlink()
    with pytest.raises(TamperedError, match=f"{victim.name} is missing"):
        verify(lock.read(), jars)


def test_an_extra_jar_is_named(jars: Path) -> None:
    (jars / "stowaway.jar").write_bytes(b"x")
    with pytest.raises(TamperedError, match=r"stowaway\.jar does not belong"):
        verify(lock.read(), jars)


def test_two_processes_install_at_once(jars: Path, empty: Path, tmp_path: Path) -> None:
    script = "import sys; from pathlib import Path; from penstock import devkafka\n"
    script += "print(devkafka.install(Path(sys.argv[1]), print).jars)"
    with mirror(jars, tmp_path / "mirror") as address:
        env = {**os.environ, "PENSTOCK_MAVEN_REPOSITORY": address}
        command = [sys.executable, "-c", script, str(empty)]
        both = [subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        said = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sum("Installing" in text for text in said) == 1, "the second waits for the first and uses its work"
    assert sorted(path.name for path in (empty / "kafka" / "dist").iterdir()) == [".lock", f"kafka-{lock.KAFKA}"]


def test_a_broken_jar_of_the_users_own_is_passed_over(
    jars: Path, empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jar = lock.read().jars[0]
    own = tmp_path.joinpath("user", ".m2", "repository", *jar.group.split("."), jar.artifact, jar.version, jar.filename)
    own.parent.mkdir(parents=True)
    own.write_bytes(b"cut short")
    with mirror(jars, tmp_path / "mirror") as address:
        monkeypatch.setenv("PENSTOCK_MAVEN_REPOSITORY", address)
        assert (install(empty, print).jars / jar.filename).stat().st_size > 1000
    assert own.read_bytes() == b"cut short"


def test_a_mirror_that_serves_something_else_is_refused(
    jars: Path, empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim = next(jars.glob("kafka-raft-*.jar"))
    victim.write_bytes(b"not what it was")
    with mirror(jars, tmp_path / "mirror") as address:
        monkeypatch.setenv("PENSTOCK_MAVEN_REPOSITORY", address)
        with pytest.raises(TamperedError, match=r"kafka-raft.*Nothing was installed"):
            install(empty, print)
    assert [path.name for path in (empty / "kafka" / "dist").iterdir()] == [".lock"]


def test_a_download_that_fails_says_what_to_check(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_MAVEN_REPOSITORY", "http://127.0.0.1:1")
    with pytest.raises(InstallError, match=r"Downloading \S+ failed(.|\n)*HTTPS_PROXY"):
        install(empty, print)


@pytest.mark.parametrize(("of", "used"), [("central", True), ("external:*,!other", True), ("*,!central", False)])
def test_the_mirror_in_mavens_settings_is_used(empty: Path, tmp_path: Path, of: str, used: bool) -> None:
    settings = tmp_path / "user" / ".m2" / "settings.xml"
    settings.parent.mkdir(parents=True)
    settings.write_text(
        '<settings xmlns="http://maven.apache.org/SETTINGS/1.0.0"><mirrors><mirror><id>m</id>'
        f"<mirrorOf>{of}</mirrorOf><url>http://127.0.0.1:81/maven/</url></mirror></mirrors></settings>"
    )
    assert (maven.repositories()["central"] == "http://127.0.0.1:81/maven") is used
