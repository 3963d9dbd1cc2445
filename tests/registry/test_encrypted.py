"""A registry and encryption at once: sealed last on the way out, opened first on the way in."""

import base64
import json
from pathlib import Path

import pytest

from tests.cli.conftest import start_provider
from tests.registry.conftest import PREFIX, RegistryCli
from tests.registry.test_formats import avro

__all__ = ["avro"]

pytestmark = [pytest.mark.kafka, pytest.mark.usefixtures("leaves_no_topics")]

CANARY = "canary-4711"


def test_avro_through_both(
    cli: RegistryCli,
    avro: tuple[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name, file = avro
    (tmp_path / "k1.key").write_text(base64.b64encode(bytes(range(32))).decode())
    (tmp_path / "k1.key").chmod(0o600)
    cli.more["PENSTOCK_ENCRYPTION"] = json.dumps(
        {"current": "k1", "keys": {"k1": {"file": str(tmp_path / "k1.key")}}, "require": True}
    )
    start_provider(cli, monkeypatch, "fixed:5")
    cli.worker(file)
    text = json.dumps({"text": CANARY})
    assert cli("publish", name, "--input", text, "--run-id", "sealed").code == 0
    found = cli("consume", name, "--run-id", "sealed", "--timeout", "40", "--json")
    assert found.code == 0, found.err
    assert found.object["outputs"]["count"] == {"letters": len(CANARY)}
    for part in ("input", "run", "count", "output"):
        values = cli.values(f"{PREFIX}{name}.{part}")
        assert values
        assert not [value for value in values if CANARY.encode() in value or value[:1] != b"\xfe"]
    cli.assert_clean(name)
