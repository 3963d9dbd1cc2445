"""Journals, retries and changelogs with a real registry: a plain consumer reads them, and so does everything of ours."""

import json
from pathlib import Path

import pytest

from schemas.codec import decode
from tests.registry.conftest import PREFIX, PlainConsumer, RegistryCli, ask

pytestmark = pytest.mark.kafka


def test_a_plain_consumer_reads_every_avro_topic_by_ids_of_the_registry(
    cli: RegistryCli, workflow: tuple[str, Path]
) -> None:
    name, file = workflow
    cli.worker(file)
    for n in (1, -5):  # the second fails once, is retried, and fails for good
        assert cli("publish", name, "--input", json.dumps({"n": n}), "--json").code == 0
    ended = cli("consume", name, "--max", "2", "--timeout", "40", "--json").json
    assert sorted(result["status"] for result in ended) == ["failed", "success"]
    plain = PlainConsumer(cli.registry)
    subjects = set(ask(f"{cli.registry}/subjects"))
    seen = {}
    for topic in [f"{PREFIX}{name}.{part}" for part in ("run", "add", "twice-it", "retry")] + [
        f"{PREFIX}penstock.{name}-{table}-changelog" for table in ("run", "add", "twice-it", "timers")
    ]:
        assert f"{topic}-value" in subjects
        found = [plain.decode(value) for value in cli.values(topic)]
        seen[topic] = {kind for kind, _ in found}
    assert seen[f"{PREFIX}{name}.run"] == {"penstock.Started", "penstock.Finished"}
    assert seen[f"{PREFIX}{name}.add"] == {"penstock.Succeeded"}
    assert seen[f"{PREFIX}{name}.twice-it"] == {
        f"penstock.{kind}" for kind in ("Succeeded", "AttemptFailed", "AttemptDue", "Failed")
    }
    assert seen[f"{PREFIX}{name}.retry"] == {"penstock.RetryScheduled"}
    assert seen[f"{PREFIX}penstock.{name}-add-changelog"] == {"penstock.NodeRow", "penstock.OwnerMarker"}
    cli.assert_clean(name)
    shown = cli("runs", "show", ended[0]["run_id"], "--json").object
    assert shown["run_id"] == ended[0]["run_id"]


def test_records_from_before_the_registry_go_on_being_read(cli: RegistryCli, workflow: tuple[str, Path]) -> None:
    name, file = workflow
    address, cli.registry = cli.registry, ""
    first = cli("run", file, "--input", '{"n": 1}', "--json")
    assert first.code == 0, first.err
    before = cli.values(f"{PREFIX}{name}.run")
    assert all(decode(value) for value in before)
    cli.registry = address
    second = cli("run", file, "--input", '{"n": 2}', "--json")
    assert second.code == 0, second.err
    after = [value for value in cli.values(f"{PREFIX}{name}.run") if value not in before]
    plain = PlainConsumer(address)
    assert {plain.decode(value)[0] for value in after} == {"penstock.Started", "penstock.Finished"}
    assert len(cli("runs", "list", "--workflow", name, "--json").json) == 2
    cli.worker(file)  # which restores rows of both
    cli.assert_clean(name)


def test_a_registry_that_is_away_is_said_before_anything_starts(cli: RegistryCli, workflow: tuple[str, Path]) -> None:
    _, file = workflow
    cli.registry = "http://127.0.0.1:1/apis/ccompat/v7"
    told = cli("worker", file)
    assert told.code == 1
    assert "the schema registry at http://127.0.0.1:1/apis/ccompat/v7 does not answer" in told.err
    assert "PENSTOCK_SCHEMA_REGISTRY_URL" in told.err


def test_an_address_without_confluents_api_is_said_to_be_none(cli: RegistryCli, workflow: tuple[str, Path]) -> None:
    _, file = workflow
    cli.registry = cli.registry.removesuffix("/apis/ccompat/v7")
    told = cli("worker", file)
    assert told.code == 2
    assert "no schema registry with Confluent's API" in told.err
    assert "/apis/ccompat/v7" in told.err


def test_a_worker_that_may_not_register_names_what_is_missing(cli: RegistryCli, workflow: tuple[str, Path]) -> None:
    name, file = workflow
    cli.more["PENSTOCK_SCHEMA_REGISTRY_AUTO_REGISTER"] = "false"
    told = cli("worker", file)
    assert told.code == 2
    assert f"{PREFIX}{name}.run-value" in told.err
    assert "penstock registry register" in told.err
    registered = cli("registry", "register", file, "--json")
    assert registered.code == 0, registered.err
    assert f"{PREFIX}{name}.run-value" in {line["subject"] for line in registered.json}
    cli.worker(file)


def test_a_foreign_schema_under_a_subject_of_ours_is_refused_by_name(
    cli: RegistryCli, workflow: tuple[str, Path]
) -> None:
    name, file = workflow
    subject = f"{PREFIX}{name}.add-value"
    foreign = {"type": "record", "name": "Foreign", "fields": [{"name": "x", "type": "string"}]}
    ask(f"{cli.registry}/subjects/{subject}/versions", {"schema": json.dumps(foreign)})
    told = cli("worker", file)
    assert told.code == 2
    assert f"'{PREFIX}{name}.add'" in told.err
    assert subject in told.err
    assert "record Foreign was written" in told.err
    assert f"{PREFIX}{name}.run-value" not in ask(f"{cli.registry}/subjects")
