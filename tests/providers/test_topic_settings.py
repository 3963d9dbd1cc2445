"""Settings of names and sizes of topics: from the file or the environment, and what is wrong with its key."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.settings import SettingsError, load
from topology.naming import input_topic, use_prefix
from topology.sizes import Override, Sizes


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    for name in ("PENSTOCK_TOPIC_PREFIX", "PENSTOCK_REPLICATION_FACTOR", "PENSTOCK_CONFIG", "PENSTOCK_BOOTSTRAP"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    yield
    use_prefix("")


def write(text: str) -> None:
    Path("penstock.toml").write_text(text, encoding="utf-8")


def test_from_the_file_and_over_it_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    write(
        'topic_prefix = "team-a"\nreplication_factor = 3\nmin_insync_replicas = 2\n'
        '[topics.output]\nretention_ms = 604800000\ncleanup = "compact,delete"\n'
        'config = {"segment.bytes" = 1048576, "preallocate" = true, "compression.type" = "zstd"}\n'
    )
    further = {"segment.bytes": "1048576", "preallocate": "true", "compression.type": "zstd"}
    assert load().sizes() == Sizes(3, 2, {"output": Override(604_800_000, "compact,delete", further)})
    assert input_topic("wf") == "team-a.wf.input"
    monkeypatch.setenv("PENSTOCK_TOPIC_PREFIX", "team-b.")
    monkeypatch.setenv("PENSTOCK_REPLICATION_FACTOR", "4")
    assert load().sizes().replication_factor == 4
    assert input_topic("wf") == "team-b.wf.input"
    monkeypatch.delenv("PENSTOCK_TOPIC_PREFIX")
    write("")
    load()
    assert input_topic("wf") == "wf.input"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('topic_prefix = "a b"', "topic_prefix: 'a b' may hold only"),
        ("replication_factor = 0", "replication_factor: "),
        ("replication_factor = 1\nmin_insync_replicas = 2", "min_insync_replicas: 2 copies would have to be written"),
        ("[topics.outputs]\nretention_ms = 1", "topics.outputs: no such purpose"),
        ("[topics.output]\nretention = 1", "topics.output.retention: unknown key"),
        ("[topics.output]\nretention_ms = -2", "topics.output.retention_ms: "),
        ('[topics.output]\ncleanup = "none"', "topics.output.cleanup: "),
        (
            '[topics.changelog]\ncleanup = "delete"',
            "topics.changelog: cleanup: with 'delete' the state of runs would be lost",
        ),
    ],
)
def test_what_cannot_work_is_named_with_its_key(text: str, said: str) -> None:
    write(text)
    with pytest.raises(SettingsError) as caught:
        load()
    assert said in str(caught.value)
    assert "penstock.toml" in str(caught.value)
