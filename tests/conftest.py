"""Fixtures that every room's tests may use."""

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from penstock import devkafka
from penstock.devkafka import ports
from tests.kafka_tools import delete_topics, topics_on

os.environ.setdefault("PENSTOCK_KAFKA_DIST", str(Path(__file__).parents[1] / ".penstock" / "kafka-dist"))

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell has it for what it runs behind: children inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("penstock", deadline=None)  # a busy machine is no defect: nothing in the suite is timed
settings.load_profile("penstock")


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[devkafka.Broker]:
    """One embedded Kafka for the whole session, gone at its end however that comes about."""
    home = tmp_path_factory.mktemp("kafka-home")
    running = devkafka.start(home, ports.any_free(), die_with_parent=True)
    yield running
    running.stop(timeout=0)  # nobody reads its data again, and in order it closes the files of hundreds of topics


@pytest.fixture(scope="session")
def bootstrap(broker: devkafka.Broker) -> str:
    """Return the address of the session's broker."""
    return broker.bootstrap


@pytest.fixture
def leaves_no_topics(bootstrap: str) -> Iterator[None]:
    """Delete what a test has made, once its workers are gone: for what others cannot read. Some commands, and the console, look at every workflow."""
    before = asyncio.run(topics_on(bootstrap))
    yield
    asyncio.run(delete_topics(bootstrap, before))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give tests on real Kafka time for the first one's download of the jars."""
    for item in items:
        if item.get_closest_marker("kafka") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(300))
