"""Values put away and got back: by files and by S3; whatever is not as it was written is found."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
import sys
import urllib.request
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from penstock.devkafka import ports
from schemas.claims import Claim, a_claim_in, claim_of, is_claim, text_of, value_of, written
from schemas.codec import dumps
from streams.claims.claims import ClaimProblem, Claims
from streams.errors import ClaimStoreError, KeyMissing
from streams.sealing.keyring import Keyring

VALUE = {"text": "x" * 1000, "n": [1, 2.5, None]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "claims"


@pytest.fixture(scope="session")
def moto() -> Path:
    """The Python of an environment with an S3 server, made at its first use: its libraries do not fit ours (tests/claims/moto.txt)."""
    wanted = Path(__file__).parent / "moto.txt"
    home = Path(__file__).parents[2] / ".penstock" / f"moto-{hashlib.sha256(wanted.read_bytes()).hexdigest()[:8]}"
    python, done = home / "bin" / "python", home / "done"
    home.parent.mkdir(exist_ok=True)
    with home.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            venv.create(home, clear=True)
            said = ["install", "--quiet", "--disable-pip-version-check", "--no-compile", "-r", str(wanted)]
            subprocess.run([sys.executable, "-m", "pip", "--python", str(python), *said], check=True)
            done.touch()
    return python


@pytest.fixture(scope="module")
def bucket(moto: Path) -> Iterator[str]:
    """An S3 server of its own process, with a bucket."""
    port = ports.any_free()
    server = subprocess.Popen(
        [str(moto), "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_ACCESS_KEY_ID": "a",
            "AWS_SECRET_ACCESS_KEY": "b",
            "AWS_REGION": "us-east-1",
        }.items():
            patch.setenv(name, value)
        try:
            assert server.stderr is not None
            while b"Running on" not in (line := server.stderr.readline()):
                assert line, "the server has ended"
            urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}/claims", method="PUT")).close()
            yield "s3://claims/here"
        finally:
            server.kill()
            server.communicate()


async def test_there_and_back(folder: Path) -> None:
    store = f"file://{folder}"
    claims = Claims([store])
    claim = await claims.put(store, VALUE)
    assert claim.uri == f"{store}/{claim.sha256}"
    assert json.loads((folder / claim.sha256).read_text()) == VALUE
    assert await claims.get(value_of(text_of(claim))) == VALUE
    assert await claims.put(f"{store}/", VALUE) == claim
    assert len(list(folder.iterdir())) == 1


@pytest.mark.timeout(300)
async def test_s3(bucket: str) -> None:
    claims = Claims([bucket])
    claim = await claims.put(bucket, VALUE)
    assert await claims.get(claim) == VALUE
    with pytest.raises(ClaimProblem) as found:
        await claims.get(claim_of(f"{bucket}/none", 3, "0" * 64))
    assert (found.value.kind, found.value.retryable) == ("claim_missing", True)
    with pytest.raises(ClaimProblem) as found:
        await claims.get(claim_of(claim.uri, 3, claim.sha256))
    assert found.value.kind == "claim_altered"


async def test_a_bucket_that_is_not_there(bucket: str) -> None:
    with pytest.raises(ClaimProblem) as found:
        await Claims(["s3://nowhere"]).put("s3://nowhere", VALUE)
    assert (found.value.kind, found.value.retryable) == ("claim_store", True)


async def test_a_changed_byte_is_found_and_a_repaired_one_is_read(folder: Path) -> None:
    store = f"file://{folder}"
    claims = Claims([store])
    claim = await claims.put(store, VALUE)
    file = folder / claim.sha256
    good = file.read_bytes()
    for bad in (good[:-1] + b"X", good[:-1], good + b" ", b""):
        file.write_bytes(bad)
        with pytest.raises(ClaimProblem) as found:
            await claims.get(claim)
        assert (found.value.kind, found.value.retryable) == ("claim_altered", False)
    file.unlink()
    with pytest.raises(ClaimProblem) as found:
        await claims.get(claim)
    assert found.value.kind == "claim_missing"
    await claims.put(store, VALUE)
    assert await claims.get(claim) == VALUE


async def test_no_link_leads_out(folder: Path, tmp_path: Path) -> None:
    folder.mkdir()
    (tmp_path / "secret").write_text("{}")
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "up").symlink_to(tmp_path)
    for name in ("link", "up/secret"):
        with pytest.raises(ClaimProblem) as found:
            await Claims([f"file://{folder}"]).get(claim_of(f"file://{folder}/{name}", 2, "0" * 64))
        assert found.value.kind == "claim_missing"


async def test_only_allowed_stores_are_read_and_written(folder: Path) -> None:
    claims = Claims([f"file://{folder}"])
    with pytest.raises(ClaimProblem) as found:
        await claims.get(claim_of("file:///etc/passwd", 2, "0" * 64))
    assert (found.value.kind, found.value.retryable) == ("claim_refused", False)
    with pytest.raises(ClaimStoreError, match="not allowed"):
        claims.check("file:///tmp/other", "workflow 'w'")


async def test_encrypted(folder: Path) -> None:
    store, keys = f"file://{folder}", {"k1": os.urandom(32)}
    sealing = Claims([store], Keyring("k1", keys))
    claim = await sealing.put(store, {"text": "CANARY"})
    (file,) = folder.iterdir()
    assert b"CANARY" not in file.read_bytes()
    assert file.name != claim.sha256, "the name tells nothing of the value"
    assert await Claims([store], Keyring("k2", {**keys, "k2": os.urandom(32)})).get(claim) == {"text": "CANARY"}
    with pytest.raises(KeyMissing):
        await Claims([store]).get(claim)
    file.write_bytes(file.read_bytes()[:-1] + b"X")
    with pytest.raises(ClaimProblem) as found:
        await sealing.get(claim)
    assert found.value.kind == "claim_altered"


async def test_text_and_what_a_redrive_changed(folder: Path) -> None:
    folder.mkdir()
    (folder / "a.txt").write_text("grüß")
    content = (folder / "a.txt").read_bytes()
    claim = claim_of(f"file://{folder}/a.txt", len(content), hashlib.sha256(content).hexdigest(), "text/plain")
    claims = Claims([f"file://{folder}"])
    assert await claims.get(claim) == "grüß"
    whole = await claims.put(f"file://{folder}", {"a": 1, "b": 2})
    assert await claims.get(whole.edited({"b": None}).edited({"c": 3})) == {"a": 1, "c": 3}


@pytest.mark.parametrize("look_alike", ['{"$claim":{}}', '{"$claim": {"uri": "x"}}', ' {"a":1}'])
def test_only_ours_is_a_claim(look_alike: str) -> None:
    assert not is_claim(look_alike)
    assert not isinstance(value_of(look_alike), Claim)


def test_a_blank_makes_a_claim_wherever_it_stands() -> None:
    claim = claim_of("file:///claims/x", 20, "ab" * 32)
    look = dict(claim)
    value = {
        "a": [look, claim, {"b": claim, "c": look}],
        "said": ' {"$claim":',
        "d": claim.edited({"$claim": {"e": 1}}),
    }
    read = value_of(written(value))
    assert read == value
    assert [type(one) for one in (read["a"][0], read["a"][1], read["a"][2]["b"], read["a"][2]["c"], read["d"])] == [
        dict,
        Claim,
        Claim,
        dict,
        Claim,
    ]
    assert a_claim_in(read) == claim
    assert a_claim_in(value_of(dumps(value))) is None
    other = '{"a":{ "$claim":{"uri":1}},"b":{"\\u0024claim":{"uri":2}},"c":' + written(claim) + "}"
    assert [type(one) for one in value_of(other).values()] == [dict, dict, Claim]


async def test_whole(folder: Path) -> None:
    claims = Claims([f"file://{folder}"])
    claim: Any = await claims.put(f"file://{folder}", VALUE)
    items = value_of(written({"items": [claim, dict(claim), 1]}))
    assert await claims.whole(items) == {"items": [VALUE, dict(claim), 1]}
    assert await claims.whole(dict(claim)) == dict(claim)
