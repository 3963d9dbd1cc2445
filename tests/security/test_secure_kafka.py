"""The embedded Kafka with TLS, users and ACLs: who may log in, what is said to whom may not, and every ACL taken away once."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from benchmarks.acls import kafka_acls
from penstock import devkafka
from penstock.devkafka import ports
from penstock.devkafka.tools import run_tool
from penstock.security import client_arguments
from penstock.settings import Settings, load
from streams.engine.access import demand_worker
from streams.engine.clients import connected_admin, producer_of
from streams.engine.config import EngineConfig
from streams.errors import AccessDenied, AuthenticationFailed, BrokerUnreachable, TopicsMissing
from tests.cli.conftest import Cli, write_workflow
from tests.console.conftest import GATED
from tests.kafka_tools import unique
from tests.plans import CHAIN, plan_of
from tests.security.conftest import certificate
from topology.acls import Acl, acls_of
from topology.plan import WorkflowPlan
from topology.sizes import Sizes

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

USER = "User:penstock"
BEARERS = {
    "sasl.enabled.mechanisms": "SCRAM-SHA-512,OAUTHBEARER",
    "listener.name.sasl_ssl.oauthbearer.sasl.jaas.config": (
        "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;"
    ),
}
"""Kafka's own check of tokens for development: it believes what is not signed, but not what is expired."""


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory, mutual: Mutual) -> Iterator[devkafka.Broker]:
    """A secured broker for this module, with a second listener for `mutual`; its user `penstock` may do nothing yet."""
    home = tmp_path_factory.mktemp("secured-home")
    port = ports.any_free({mutual.port})
    overrides = BEARERS | by_certificate(port, mutual)
    broker = devkafka.start(home, port, die_with_parent=True, secured=True, overrides=overrides)
    yield broker
    broker.stop()


@dataclass(frozen=True)
class Mutual:
    """Where clients show a certificate, and the one that is taken there: of `CN=mutual`."""

    port: int
    certificate: Path
    key: Path

    @property
    def bootstrap(self) -> str:
        return f"{ports.HOST}:{self.port}"


@pytest.fixture(scope="module")
def mutual(tmp_path_factory: pytest.TempPathFactory) -> Mutual:
    """A certificate, and an address for the broker to listen at."""
    files = certificate(tmp_path_factory.mktemp("mutual"), "mutual", "a-canary")
    return Mutual(ports.any_free(), *files)


def by_certificate(port: int, mutual: Mutual) -> dict[str, str]:
    """Return what lets a secured broker have a listener that demands a certificate, beside the one with passwords."""
    own = f"SASL_SSL://{ports.HOST}:{port},MUTUAL://{mutual.bootstrap}"
    controller = f"{ports.HOST}:{ports.any_free({port, mutual.port})}"
    return {
        "listeners": f"{own},CONTROLLER://{controller}",
        "advertised.listeners": own,
        "controller.quorum.voters": f"1@{controller}",
        "listener.security.protocol.map": "SASL_SSL:SASL_SSL,MUTUAL:SSL,CONTROLLER:SSL",
        "listener.name.mutual.ssl.client.auth": "required",
        "listener.name.mutual.ssl.truststore.type": "PEM",
        "listener.name.mutual.ssl.truststore.location": str(mutual.certificate),
    }


@pytest.fixture(autouse=True)
async def _connections_closed() -> AsyncIterator[None]:
    """Wait until what a test opened is closed: aiokafka does not wait for the end of a refused connection, and with TLS that takes an answer."""
    yield
    open_files = asyncio.get_running_loop()._selector.get_map()  # type: ignore[attr-defined]
    async with asyncio.timeout(30):
        while len(open_files) > 1:  # noqa: ASYNC110 - no event tells; the loop's own stays
            await asyncio.sleep(0.01)


@pytest.fixture
def settings(secured: devkafka.Broker, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The settings of the user `penstock`."""
    monkeypatch.setenv("PENSTOCK_CONFIG", str(secured.config))
    return load()


def config_of(settings: Settings, **more: Any) -> EngineConfig:
    assert settings.bootstrap is not None
    return EngineConfig(settings.bootstrap, kafka=client_arguments(settings), **more)


@asynccontextmanager
async def administrator(secured: devkafka.Broker) -> AsyncIterator[AIOKafkaAdminClient]:
    """The user that may do everything."""
    assert secured.config is not None
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PENSTOCK_CONFIG", str(secured.config.with_name("admin.toml")))
        known = load()
    async with connected_admin(config_of(known)) as admin:
        yield admin


def test_its_files_are_for_their_owner_alone(secured: devkafka.Broker) -> None:
    assert secured.config is not None
    folder = secured.config.parent
    assert folder.stat().st_mode & 0o77 == 0
    private = [path for path in folder.iterdir() if path.name != "ca.pem"]
    assert all(path.stat().st_mode & 0o77 == 0 for path in [*private, folder.parent / "server.properties"])
    password = (folder / "penstock.password").read_text()
    assert password not in secured.config.read_text()
    assert password not in secured.log.read_text()


async def test_who_has_the_password_may_log_in(settings: Settings) -> None:
    async with connected_admin(config_of(settings)) as admin:
        assert await admin.describe_topics() == []  # and is shown nothing


REFUSED = [
    (
        {"sasl_plain_password": "wrong-canary"},
        AuthenticationFailed,
        "refused user 'penstock' (SCRAM-SHA-512): sasl_plain_username, or its password",
    ),
    ({"sasl_plain_username": "nobody"}, AuthenticationFailed, "refused user 'nobody'"),
    ({"sasl_mechanism": "PLAIN"}, AuthenticationFailed, "does not offer sasl_mechanism PLAIN"),
    ({"ssl_cafile": None}, AuthenticationFailed, "certificate is not trusted"),
    (
        {"security_protocol": "PLAINTEXT"},
        BrokerUnreachable,
        "security_protocol is PLAINTEXT; does its listener speak TLS",
    ),
    ({"security_protocol": "SASL_PLAINTEXT"}, BrokerUnreachable, "does its listener speak TLS (SASL_SSL)"),
    ({"security_protocol": "SSL"}, BrokerUnreachable, "hung up on a client that did not log in"),
]


@pytest.mark.parametrize(
    ("other", "error", "said"), REFUSED, ids=[next(iter(other)) + str(n) for n, (other, *_) in enumerate(REFUSED)]
)
async def test_a_refused_login_says_which_setting_does_not_fit(
    settings: Settings, other: dict[str, Any], error: type[Exception], said: str
) -> None:
    from pydantic import SecretStr

    changed = {key: SecretStr(value) if "password" in key else value for key, value in other.items()}
    with pytest.raises(error) as raised:
        async with connected_admin(config_of(settings.model_copy(update=changed))):
            pass
    assert said in str(raised.value)
    assert "canary" not in str(raised.value)


def token(age_s: int = 0) -> str:
    now = int(time.time()) - age_s
    parts = ({"alg": "none"}, {"sub": "bearer", "iat": now, "exp": now + 60})
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts) + "."


async def test_a_bearer_of_a_token(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "token"
    bearer = {"sasl_mechanism": "OAUTHBEARER", "sasl_oauth_token_file": file, "sasl_plain_username": None}
    config = config_of(settings.model_copy(update=bearer))
    file.write_text(token())
    async with connected_admin(config) as admin:
        assert await admin.describe_topics() == []
    file.write_text(token(age_s=3600))
    with pytest.raises(AuthenticationFailed, match="refused the login by OAUTHBEARER: the token is not accepted"):
        async with connected_admin(config):
            pass
    file.unlink()
    with pytest.raises(AuthenticationFailed, match=r"sasl_oauth_token_file: .*No such file"):
        async with connected_admin(config):
            pass


async def test_a_certificate_is_who_a_client_is(
    secured: devkafka.Broker,
    settings: Settings,
    mutual: Mutual,
    as_user: Callable[[str], Secured],
    tmp_path: Path,
) -> None:
    """Mutual TLS: no password, no SASL; the principal is the certificate's subject, and its ACLs are what counts."""
    from aiokafka.admin import NewTopic
    from pydantic import SecretStr

    tls = {
        "security_protocol": "SSL",
        "bootstrap": mutual.bootstrap,
        "sasl_mechanism": None,
        "sasl_plain_username": None,
    }
    known = settings.model_copy(update={**tls, "sasl_plain_password": None})
    shown = {"ssl_certfile": mutual.certificate, "ssl_keyfile": mutual.key, "ssl_password": SecretStr("a-canary")}
    async with administrator(secured) as admin:
        await admin.create_topics([NewTopic(name := unique("mutual"), 1, 1)])
        await kafka_acls.add(admin, "User:CN=mutual", [Acl("topic", name, "Write")])
    config = config_of(known.model_copy(update=shown))
    async with connected_admin(config) as admin, asyncio.timeout(20):
        while [topic["topic"] for topic in await admin.describe_topics()] != [name]:
            pass
    producer = producer_of(config)
    await producer.start()
    try:
        assert (await producer.send_and_wait(name, b"by certificate")).offset == 0
    finally:
        await producer.stop()
    cli = as_user("penstock")
    cli.config = tmp_path / "mutual.toml"
    lines = f'bootstrap = "{mutual.bootstrap}"\nsecurity_protocol = "SSL"\nssl_cafile = "{settings.ssl_cafile}"\n'
    stranger, key = certificate(tmp_path, "stranger")
    for more in ("", f'ssl_certfile = "{stranger}"\nssl_keyfile = "{key}"\n'):
        cli.config.write_text(lines + more)
        refused = cli("runs", "list")
        assert (refused.code, "ssl_certfile and ssl_keyfile must name one" in refused.err) == (2, True), refused.err


async def test_tls_where_there_is_none(settings: Settings, bootstrap: str) -> None:
    config = config_of(settings.model_copy(update={"bootstrap": bootstrap}))
    with pytest.raises(BrokerUnreachable, match=r"security_protocol is SASL_SSL; does its listener speak TLS\?"):
        async with connected_admin(config):
            pass


def missing_in(told: str) -> str:
    return told.partition("\n")[0].removeprefix(f"{USER} is not allowed: ").removesuffix(". What grants it:")


async def test_one_acl_less_is_named_whichever_it_is(secured: devkafka.Broker, settings: Settings) -> None:
    """All rights but one, for each of them: before the topics are made, and when they are there."""
    config = config_of(settings, sizes=Sizes(replication_factor=1))
    plan = plan_of(CHAIN, unique("acls"))
    acls = acls_of(plan, "worker", config.sizes)
    async with administrator(secured) as admin:
        with pytest.raises(AccessDenied):
            await demand_worker(plan, config)
        await kafka_acls.add(admin, USER, acls)
        await _all_there_is(plan, config, there=False)
        for acl in acls:
            if acl.operation == "Create":
                await _is_named(admin, plan, config, acl)
        await admin.create_topics(_topics(acls))
        await _all_there_is(plan, config, there=True)
        for acl in acls:
            if acl.operation != "Create":
                await _is_named(admin, plan, config, acl)
        await kafka_acls.remove(admin, USER, acls)


async def _all_there_is(plan: WorkflowPlan, config: EngineConfig, *, there: bool) -> None:
    """Wait until the broker has applied what was decided."""
    async with asyncio.timeout(20):
        while True:
            try:
                if await demand_worker(plan, config) is there:
                    return
            except AccessDenied:
                pass
            await asyncio.sleep(0.05)


async def _is_named(admin: AIOKafkaAdminClient, plan: WorkflowPlan, config: EngineConfig, acl: Acl) -> None:
    async with kafka_acls.without(admin, USER, acl), asyncio.timeout(20):
        told = ""
        while missing_in(told) != str(acl):
            try:
                await demand_worker(plan, config)
            except AccessDenied as error:
                told = str(error)
    (line,) = told.splitlines()[1:]
    assert line.endswith(f"--allow-principal {USER} --operation {acl.operation} --{acl.resource} {acl.name}")


def _topics(acls: tuple[Acl, ...]) -> list[Any]:
    from aiokafka.admin import NewTopic

    return [NewTopic(acl.name, 1, 1) for acl in acls if acl.operation == "Create"]


async def test_the_replication_factor_may_be_asked_for_or_set(secured: devkafka.Broker, settings: Settings) -> None:
    from streams.engine.topics import ensure_shared

    name = unique("shared")
    with pytest.raises(AccessDenied, match=r"DescribeConfigs on the cluster .or set replication_factor"):
        await ensure_shared(name, config_of(settings))


async def test_a_worker_that_creates_no_topics_says_how_they_are_made(
    secured: devkafka.Broker, settings: Settings
) -> None:
    plan = plan_of(CHAIN, unique("made"), partitions=3)
    config = config_of(settings, create_topics=False)
    acls = acls_of(plan, "worker", config.sizes, creates=False)
    async with administrator(secured) as admin:
        await kafka_acls.add(admin, USER, acls)
        first, *others = [shlex.split(line) for line in (await _told_missing(plan, config)).splitlines()[1:]]
        told = await asyncio.to_thread(run_tool, secured.home, first[0], first[1:], print)
        assert told == 0
        await admin.create_topics([_as_made_by(words) for words in others])
        await _all_there_is(plan, config, there=True)
        made = {topic["topic"]: len(topic["partitions"]) for topic in await admin.describe_topics()}
    assert {made[topic.name] for topic in plan.topics} == {3}
    assert made["penstock.plans"] == 1


async def _told_missing(plan: WorkflowPlan, config: EngineConfig) -> str:
    async with asyncio.timeout(20):
        while True:
            try:
                await demand_worker(plan, config)
            except AccessDenied:
                await asyncio.sleep(0.05)
            except TopicsMissing as error:
                return str(error)


def _as_made_by(words: list[str]) -> Any:
    from aiokafka.admin import NewTopic

    given = list(pairwise(words))
    one = dict(given)
    config = dict(value.split("=", 1) for key, value in given if key == "--config")
    return NewTopic(one["--topic"], int(one["--partitions"]), 1, topic_configs=config)


class Secured(Cli):
    """The command line as the user of a secured broker."""

    config: Path

    @property
    def env(self) -> dict[str, str]:
        return super().env | {"PENSTOCK_CONFIG": str(self.config), "PENSTOCK_HOME": str(self.config.parents[2])}


@pytest.fixture
def as_user(tmp_path: Path, secured: devkafka.Broker) -> Iterator[Callable[[str], Secured]]:
    made = []

    def log_in(user: str) -> Secured:
        cli = Secured(tmp_path)
        assert secured.config is not None
        cli.config = secured.config.with_name(f"{user}.toml")
        made.append(cli)
        return cli

    yield log_in
    for cli in made:
        cli.close()


def test_the_printed_lines_are_all_that_it_takes(
    as_user: Callable[[str], Secured], secured: devkafka.Broker, tmp_path: Path
) -> None:
    """Three principals, each with the printed ACLs alone: publish, work, consume, look, decide, redrive, audit; then one is taken away.

    Kafka's own tool applies a line of two; the others go the quick way (`make acls` applies them all by the tool).
    """
    workflow, file = write_workflow(tmp_path, GATED)
    worker, admin = as_user("penstock"), as_user("admin")
    for user in ("shop", "desk"):
        assert admin("kafka", "user", user, "--json").object["user"] == user
    shop, desk = as_user("shop"), as_user("desk")
    refused = worker("worker", file)
    assert refused.code == 2
    assert f"Read on topic '{workflow}.input'" in refused.err
    for words in (
        (file, "--principal", "penstock"),
        (file, "--principal", "shop", "--for", "publisher", "--for", "consumer"),
    ):
        first = worker("acls", *words).out.splitlines()[0]
        assert admin("kafka", "exec", *shlex.split(first)).code == 0
        asyncio.run(_allow(secured, worker("acls", *words, "--json").json))
    asyncio.run(_allow(secured, worker("acls", file, "--principal", "desk", "--for", "console", "--json").json))
    working = worker.worker(file)
    assert shop("publish", workflow, "--run-id", "r1", "--input", '{"n": 1}').code == 0
    assert shop("publish", workflow, "--run-id", "r2", "--input", '{"n": -9}').code == 0
    _decides_redrives_and_audits(desk, workflow)
    (result,) = shop("consume", workflow, "--run-id", "r1", "--from", "earliest", "--timeout", "30", "--json").json
    assert result["outputs"]["gate"]["decision"] == "approve"
    assert worker("runs", "show", "r1", "--json").object["status"] == "success"
    assert "Write on topic" in worker("publish", workflow, "--input", '{"n": 1}').err
    asyncio.run(_take(secured, Acl("topic", f"{workflow}.run", "Write")))
    assert shop("publish", workflow, "--input", '{"n": 1}').code == 0
    assert working.stderr is not None
    assert f"is not allowed: Write on topic '{workflow}.run'" in working.stderr.read()
    assert working.wait() == 2
    denied = shop("runs", "show", "r1", "--workflow", workflow)
    assert (denied.code, f"User:shop is not allowed: Read on topic '{workflow}.run'" in denied.err) == (2, True)
    asyncio.run(_show_without_letting_read(secured, "User:shop", workflow))
    listed = shop("runs", "list")
    assert listed.code == 0
    assert f"{workflow!r} is left out: this client may not read topic 'penstock.{workflow}-run-changelog'" in listed.err


def _decides_redrives_and_audits(desk: Cli, workflow: str) -> None:
    while not (waiting := desk("review", "list", "--json").json):
        pass  # the test's timeout is the limit
    assert [review["run_id"] for review in waiting] == ["r1"]
    assert desk("review", "approve", "r1", "gate", "--json").object["status"] == "approved"
    while not desk("dead-letter", "list", workflow, "--json").json:
        pass
    redriven = desk("dead-letter", "redrive", workflow, "--edit", '{"input": {"n": 1}, "add": {"n": 2}}', "--json")
    assert redriven.code == 0, redriven.err
    while not desk("review", "list", "--workflow", workflow, "--json").json:
        pass
    assert desk("review", "reject", "r2", "gate", "--json").object["status"] == "rejected"
    judged = desk("audit", "run", workflow, "--not-quiet")
    assert judged.code == 0, judged.out + judged.err


async def _show_without_letting_read(secured: devkafka.Broker, principal: str, workflow: str) -> None:
    names = [f"{workflow}.run", f"penstock.{workflow}-run-changelog"]
    async with administrator(secured) as admin:
        await kafka_acls.add(admin, principal, [Acl("topic", name, "Describe") for name in names])


async def _allow(secured: devkafka.Broker, printed: list[dict[str, Any]]) -> None:
    async with administrator(secured) as admin:
        for one in printed:
            acl = Acl(one["resource_type"], one["resource_name"], one["operation"])
            await kafka_acls.add(admin, one["principal"], [acl])


async def _take(secured: devkafka.Broker, acl: Acl) -> None:
    async with administrator(secured) as admin:
        await kafka_acls.remove(admin, USER, [acl])


def test_no_output_shows_the_password(as_user: Callable[[str], Secured], tmp_path: Path) -> None:
    worker = as_user("penstock")
    password = worker.config.with_name("penstock.password").read_text()
    _, file = write_workflow(tmp_path)
    done = worker("worker", file, "--log-level", "debug", "--log-format", "json")
    assert done.code == 2
    assert password not in done.out + done.err
    assert all(json.loads(line) for line in done.err.splitlines())


def test_the_settings_are_asked_for(secured: devkafka.Broker, tmp_path: Path) -> None:
    env = {key: value for key, value in os.environ.items() if key != "PENSTOCK_CONFIG"} | {
        "PENSTOCK_HOME": str(secured.home)
    }
    done = subprocess.run(
        [sys.executable, "-m", "penstock", "runs", "list"],
        env=env,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert f"PENSTOCK_CONFIG={secured.config}" in done.stderr


def test_a_home_without_users_cannot_be_secured_later(broker: devkafka.Broker) -> None:
    with pytest.raises(devkafka.DevKafkaError, match="were made without users"):
        devkafka.start(broker.home, secured=True)
