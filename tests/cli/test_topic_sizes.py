"""Sizes of topics on a real broker: made as they are set, told where they differ, refused where they break a promise."""

import asyncio
import signal
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions

from streams.engine.drift import configs
from tests.cli.conftest import Cli

pytestmark = pytest.mark.kafka


async def _configs(bootstrap: str, *topics: str) -> dict[str, dict[str, str]]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        return await configs(admin, topics)
    finally:
        await admin.close()


async def _grow(bootstrap: str, topics: list[str], count: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_partitions({topic: NewPartitions(count, None) for topic in topics})
    finally:
        await admin.close()


def _ended(cli: Cli, file: Path, *args: str) -> str:
    """Start a worker and stop it when it is ready; return what it said."""
    process = cli.worker(file, *args)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0
    return err


def test_topics_are_made_as_they_are_set_and_told_of_where_they_differ(
    cli: Cli, workflow: tuple[str, Path], tmp_path: Path
) -> None:
    assert cli.bootstrap is not None
    workflow_id, file = workflow
    settings = tmp_path / "penstock.toml"
    settings.write_text(
        'replication_factor = 1\nmin_insync_replicas = 1\n[topics.output]\nretention_ms = 691200000\ncleanup = "compact,delete"\n'
        '[topics.changelog]\nconfig = {"segment.bytes" = 1048576}\n'
    )
    assert "differs from what is set" not in _ended(cli, file)
    output, changelog = f"{workflow_id}.output", f"penstock.{workflow_id}-run-changelog"
    found = asyncio.run(_configs(cli.bootstrap, output, changelog))
    assert (found[output]["retention.ms"], found[output]["cleanup.policy"]) == ("691200000", "compact,delete")
    assert (found[changelog]["segment.bytes"], found[changelog]["cleanup.policy"]) == ("1048576", "compact")

    settings.write_text('[topics.output]\nretention_ms = 777600000\ncleanup = "delete"\n')
    said = _ended(cli, file)
    line = (
        f"kafka-configs --bootstrap-server {cli.bootstrap} --alter --entity-type topics --entity-name {output} "
        "--add-config cleanup.policy=delete,retention.ms=777600000"
    )
    assert line in said
    assert said.count("differs from what is set") == 1
    assert asyncio.run(_configs(cli.bootstrap, output))[output]["retention.ms"] == "691200000"


def test_what_breaks_a_promise_is_refused_before_anything_is_made(
    cli: Cli, workflow: tuple[str, Path], tmp_path: Path
) -> None:
    workflow_id, file = workflow
    (tmp_path / "penstock.toml").write_text("[topics.run]\nretention_ms = 3600000\n")
    for command in (("worker", file), ("run", file, "--input", '{"n": 1}'), ("describe", file)):
        refused = cli(*command)
        assert refused.code == 2, command
        assert "penstock.toml: topics.run.retention_ms: 1 hour is too short: 'replay, redrive, fork'" in refused.err
    (tmp_path / "penstock.toml").unlink()
    assert cli("publish", workflow_id, "--input", "{}").code == 1


def test_another_partition_count_ends_the_worker(cli: Cli, workflow: tuple[str, Path]) -> None:
    assert cli.bootstrap is not None
    workflow_id, file = workflow
    _ended(cli, file, "--partitions", "2")
    asked = cli("worker", file, "--partitions", "3")
    assert asked.code == 2
    assert "has 2 partitions, --partitions asks for 3" in asked.err
    assert f"`penstock repartition {workflow_id} --partitions 3`" in asked.err

    journal, run = f"{workflow_id}.add", f"{workflow_id}.run"
    asyncio.run(_grow(cli.bootstrap, [journal], 3))
    grown = cli("worker", file)
    assert grown.code == 2
    assert f"topic '{journal}' has 3 partitions, '{run}' has 2" in grown.err
    assert "penstock repartition" in grown.err

    described = cli("describe", file, "--json").object
    others = {topic["name"] for topic in described["topics"]} | {table["changelog"] for table in described["tables"]}
    asyncio.run(_grow(cli.bootstrap, sorted(others - {journal}), 3))
    altered = cli("worker", file)
    assert altered.code == 2
    assert f"topic '{run}' has 3 partitions, the workflow's topics were made with 2" in altered.err
