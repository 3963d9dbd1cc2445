"""A home's broker: it starts, is found, keeps its port and data, and goes when it should."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from penstock import child, devkafka
from penstock.devkafka import ports, ready

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]  # the jars may have to be downloaded first

OWNER = """
import sys, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from penstock import devkafka
from penstock.devkafka import ports
print(devkafka.start(Path(sys.argv[1]), ports.any_free(), die_with_parent=True).pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """Return a home whose path is as awkward as a user's may be."""
    folder = tmp_path / "my home, für Kafka"
    yield folder
    devkafka.stop(folder)


@pytest.fixture
def listener() -> Iterator[int]:
    """Return a port that somebody else listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def start(home: Path, port: int | None = None, **kwargs: dict[str, str]) -> devkafka.Broker:
    return devkafka.start(home, port, die_with_parent=True, **kwargs)


def wait_for(condition: Callable[[], object], timeout: float = 30) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


async def produce(bootstrap: str, value: bytes) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic("kept", 1, 1)])
    await admin.close()
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, max_request_size=len(value) + 1000) as producer:
        await producer.send_and_wait("kept", value)


async def consume(bootstrap: str) -> bytes | None:
    consumer = AIOKafkaConsumer("kept", bootstrap_servers=bootstrap, group_id="g", auto_offset_reset="earliest")
    async with consumer:
        value: bytes | None = (await consumer.getone()).value
        return value


async def test_data_and_port_survive_a_restart(home: Path) -> None:
    port = ports.any_free()
    first = start(home, port)
    assert first.bootstrap == f"127.0.0.1:{port}"
    assert devkafka.status(home) == devkafka.Status(True, first.bootstrap, first.pid, first.data, first.version)
    assert start(home) == first, "a second start returns the broker that runs"
    with pytest.raises(devkafka.PortTakenError, match=f"at port {port} and not {port + 1}"):
        start(home, port + 1)
    value = b"v" * 5_000_000
    await produce(first.bootstrap, value)
    assert first.stop()
    assert not devkafka.status(home).running
    assert not first.stop()
    second = start(home)
    assert (second.bootstrap, second.pid == first.pid) == (first.bootstrap, False)
    assert await consume(second.bootstrap) == value
    assert first.log.stat().st_size > 0


async def test_data_survive_kill_9_of_the_broker(home: Path) -> None:
    first = start(home, ports.any_free())
    await produce(first.bootstrap, b"v")
    os.kill(first.pid, signal.SIGKILL)
    wait_for(lambda: not devkafka.status(home).running)
    assert await consume(start(home).bootstrap) == b"v"


def test_two_starts_at_once_are_one_broker(home: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: start(home), range(2))
    assert first == second


def test_a_home_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(devkafka.StartError, match=r"file/home/kafka.*PENSTOCK_HOME"):
        start(tmp_path / "file" / "home")


def test_what_does_not_speak_kafka_is_not_taken_for_a_broker() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ready.metadata, "127.0.0.1", server.getsockname()[1])
        connection, _ = server.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            with pytest.raises(ValueError, match="does not speak Kafka"):
                asked.result(10)


def test_only_loopback_is_listened_on(broker: devkafka.Broker) -> None:
    sockets = psutil.Process(broker.pid).net_connections(kind="inet")
    listening = {connection.laddr for connection in sockets if connection.status == psutil.CONN_LISTEN}
    assert len(listening) == 2, "the broker and its controller, and nothing else"
    assert {address.ip for address in listening} <= {"127.0.0.1", "::ffff:127.0.0.1"}


def test_no_orphan_after_kill_9_of_the_owner(home: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", OWNER, str(home)], stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        assert devkafka.status(home).pid == pid
        owner.kill()
    wait_for(lambda: child.birth(pid) is None)
    assert not devkafka.status(home).running


def test_a_detached_broker_outlives_its_starter_and_is_stopped_by_another_process(home: Path) -> None:
    script = OWNER.replace(", die_with_parent=True", "").replace("time.sleep(600)", "")
    pid = int(subprocess.run([sys.executable, "-c", script, str(home)], stdout=subprocess.PIPE, check=True).stdout)
    assert devkafka.status(home).pid == pid
    assert devkafka.stop(home)
    assert child.birth(pid) is None


def test_a_taken_port_is_named(home: Path, listener: int) -> None:
    with pytest.raises(devkafka.PortTakenError, match=f"Port {listener} is taken"):
        start(home, listener)
    assert ports.next_free(listener) != listener


def test_a_port_taken_between_choice_and_use_is_left_for_the_next(
    home: Path, listener: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = iter([listener, listener, ports.any_free()])  # as when another home's broker starts at the same time
    monkeypatch.setattr(ports, "next_free", lambda first: next(chosen))
    told: list[str] = []
    running = devkafka.start(home, progress=told.append, die_with_parent=True)
    assert running.bootstrap != f"127.0.0.1:{listener}"
    assert f"Port {listener} was taken by another process meanwhile" in told


def test_a_kept_port_that_was_taken_meanwhile_is_not_changed_silently(home: Path, listener: int) -> None:
    remember(home, port=listener)
    with pytest.raises(devkafka.PortTakenError, match=f"Port {listener}, which the broker of .* had before, is taken"):
        start(home)


@pytest.mark.parametrize("mark", ['{"kafka": "3.9.0", "cluster_id": "x"}', None, "{"])
def test_data_of_another_version_are_refused(home: Path, mark: str | None) -> None:
    data = home / "kafka" / "data"
    data.mkdir(parents=True)
    if mark is not None:
        (data / "penstock.json").write_text(mark)
    version = "3.9.0" if mark and "3.9.0" in mark else "an unknown version"
    with pytest.raises(devkafka.DataVersionError, match=f"{re.escape(str(data))}.*{version}.*move that folder away"):
        start(home)


def test_a_broker_that_dies_shows_its_log(home: Path) -> None:
    with pytest.raises(devkafka.StartError, match=r"log\.retention\.hours(.|\n)*The log is .*kafka\.log"):
        start(home, ports.any_free(), overrides={"log.retention.hours": "soon"})
    assert not devkafka.status(home).running
    assert not (home / "kafka" / "state.json").exists(), "a port that never served is not kept"


def test_a_stranger_with_the_old_pid_is_not_signalled(home: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as stranger:
        remember(home, pid=stranger.pid, born="long ago")
        assert not devkafka.status(home).running
        assert not devkafka.stop(home)
        assert stranger.poll() is None
        stranger.kill()


def test_an_unknown_home_is_not_running(tmp_path: Path) -> None:
    assert devkafka.status(tmp_path / "nothing").version is None
    assert not devkafka.stop(tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists(), "asking makes no folder"


def test_a_heap_that_java_does_not_understand_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_KAFKA_HEAP", "lots")
    with pytest.raises(devkafka.DevKafkaError, match="PENSTOCK_KAFKA_HEAP is 'lots'"):
        start(home)


def remember(home: Path, **state: object) -> None:
    (home / "kafka").mkdir(parents=True)
    known = {"port": 9092, "version": "4.4.0", **state}
    (home / "kafka" / "state.json").write_text(json.dumps(known))
