"""Topics in a registry's format move to another partition count: bytes stay, and everybody reads on."""

from pathlib import Path

import pytest

from tests.registry.conftest import PREFIX, PlainConsumer, RegistryCli

pytestmark = pytest.mark.kafka


def test_results_in_avro_stay_avro(cli: RegistryCli, workflow: tuple[str, Path]) -> None:
    name, file = workflow
    file.write_text(file.read_text().replace("version: 1.0.0", "version: 1.0.0\n  output_format: avro"))
    first = cli("run", file, "--input", '{"n": 1}', "--json")
    assert first.code == 0, first.err
    before = {topic: sorted(cli.values(f"{PREFIX}{name}.{topic}")) for topic in ("input", "run", "add", "output")}
    moved = cli("repartition", file, "--partitions", "6", "--yes", "--json")
    assert moved.code == 0, moved.err
    assert {topic: sorted(cli.values(f"{PREFIX}{name}.{topic}")) for topic in before} == before
    second = cli("run", file, "--input", '{"n": 2}', "--json")
    assert second.code == 0, second.err
    plain = PlainConsumer(cli.registry)
    results = [plain.decode(value) for value in cli.values(f"{PREFIX}{name}.output")]
    assert sorted(result["outputs"]["twice_it"] for result in results) == ['{"n":4}', '{"n":6}']
