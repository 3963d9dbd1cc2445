"""Environment over file; what is wrong is named with file and key; keys stay secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.settings import Settings, SettingsError, load
from streams.providers import Price, ProviderRegistry


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("PENSTOCK_BOOTSTRAP", "PENSTOCK_HOME", "PENSTOCK_CONFIG", "OPENAI_BASE_URL", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def write(text: str, name: str = "penstock.toml") -> Path:
    path = Path.cwd() / name
    path.write_text(text, encoding="utf-8")
    return path


def test_nothing_is_configured() -> None:
    settings = load()
    assert (settings.bootstrap, settings.home, settings.has_provider) == (None, Path(".penstock"), False)
    assert settings.provider_configs() == ()


def test_the_environment_wins_over_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    write('bootstrap = "file:9092"\nhome = "file-home"\n')
    assert (load().bootstrap, load().home) == ("file:9092", Path("file-home"))
    monkeypatch.setenv("PENSTOCK_BOOTSTRAP", "env:9092")
    assert (load().bootstrap, load().home) == ("env:9092", Path("file-home"))


def test_home_is_not_the_users_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/root")
    monkeypatch.setenv("PROVIDERS", '{"x": {}}')
    monkeypatch.setenv("PENSTOCK_PROVIDERS", "not json")
    assert load().home == Path(".penstock")


def test_an_empty_variable_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "")
    monkeypatch.setenv("OPENAI_BASE_URL", "")
    assert not load().has_provider


def test_another_file_can_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_CONFIG", str(write('bootstrap = "other:1"', "other.toml")))
    assert load().bootstrap == "other:1"
    monkeypatch.setenv("PENSTOCK_CONFIG", "missing.toml")
    with pytest.raises(SettingsError, match=r"missing\.toml: no such file"):
        load()


def test_a_key_alone_is_the_clients_own_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-value")
    (config,) = load().provider_configs()
    assert (config.name, config.base_url, config.max_tokens_param) == ("default", None, "max_completion_tokens")
    assert config.api_key.get_secret_value() == "sk-secret-value"


def test_a_base_url_alone_needs_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:8000/v1")
    (config,) = load().provider_configs()
    assert (config.base_url, config.max_tokens_param) == ("http://127.0.0.1:8000/v1", "max_tokens")
    assert config.api_key.get_secret_value() == "none"


ACME = """
[providers.acme]
base_url = "https://acme.example/v1"
api_key_env = "ACME_API"
models = ["gpt-4o", "gpt-4o-*"]
requests_per_minute = 100
tokens_per_minute = 10000
max_tokens_param = "max_completion_tokens"
prices = {"gpt-4o" = {input_per_mtok = 2.5, output_per_mtok = 10}}
"""


def test_a_named_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    write(ACME)
    monkeypatch.setenv("ACME_API", "acme-secret-value")
    settings = load()
    (config,) = settings.provider_configs()
    assert settings.has_provider
    assert (config.name, config.models) == ("acme", ("gpt-4o", "gpt-4o-*"))
    assert config.prices == {"gpt-4o": Price(2.5, 10.0)}
    assert config.max_tokens_param == "max_completion_tokens"
    assert (config.requests_per_minute, config.tokens_per_minute, config.keep_raw) == (100, 10_000, True)
    assert ProviderRegistry([config]).provider_for("gpt-4o-mini").config is config


@pytest.mark.parametrize(
    ("file", "variable", "kept"),
    [("", None, True), ("false", None, False), ("", "false", False), ("false", "true", True), ("true", "0", False)],
)
def test_raw_answers_are_kept_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch, file: str, variable: str | None, kept: bool
) -> None:
    write((f"keep_raw = {file}\n" if file else "") + ACME)
    monkeypatch.setenv("ACME_API", "acme-secret-value")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-value")
    if variable is not None:
        monkeypatch.setenv("PENSTOCK_KEEP_RAW", variable)
    assert [config.keep_raw for config in load().provider_configs()] == [kept, kept]


def test_no_repr_shows_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    write(ACME)
    monkeypatch.setenv("ACME_API", "acme-secret-value")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-value")
    settings = load()
    shown = repr(settings) + str(settings) + repr(settings.provider_configs()) + settings.model_dump_json()
    assert "secret-value" not in shown


def test_the_key_of_a_named_provider_must_be_set() -> None:
    write(ACME)
    with pytest.raises(SettingsError, match=r"providers\.acme\.api_key_env: the environment variable ACME_API"):
        load().provider_configs()


BAD = [
    ("bootstap = 'x'", "bootstap: unknown key"),
    ("OPENAI_API_KEY = 'sk-in-a-file'", "OPENAI_API_KEY: unknown key"),
    ("config_file = 'x'", "config_file: unknown key"),
    ("[providers.a]\nmodels = ['m']\napi_key = 'sk-in-a-file'", "providers.a.api_key: unknown key"),
    ("[providers.a]\nmodels = 'm'", "providers.a.models"),
    ("[providers.a]\nmodels = ['m']\nprices = {m = {input = 1}}", "providers.a.prices.m.input"),
    ("[providers.a]\nmodels = ['m']\nrequests_per_minute = 0", "providers.a.requests_per_minute"),
    ("[providers.a]\nmodels = ['m']\nmax_tokens_param = 'x'", "providers.a.max_tokens_param"),
    ("[providers.a]\nmodels = ['m']\nbase_url = 'acme.example'", "providers.a.base_url"),
    ("[providers.a]\nmodels = ['m']\nbase_url = 'http://[::1'", "providers.a.base_url: not an http"),
    ("[providers.a]\nmodels = ['m']\nbase_url = 'http://x:abc/v1'", "providers.a.base_url: not an http"),
    ("[providers.a]\nmodels = ['m']\nbase_url = 'http://x:65536/v1'", "providers.a.base_url: not an http"),
    ("[providers.a]\nmodels = ['m']\nbase_url = 'http://x y/v1'", "providers.a.base_url: not an http"),
    ("[providers.a]\nmodels = ['m']\nbase_url = 'http://:80/v1'", "providers.a.base_url: not an http"),
    ("[providers.a]\nbase_url = 'http://x/v1'", "providers.a.models: missing"),
    ("[providers.a]\nmodels = ['m']\nbase_url = 'http://me:sk-in-a-file@x/v1'", "providers.a.base_url: holds a user"),
    ("[providers.a]\nmodels = ['m']\nbase_url = 'http://sk-in-a-file@x/v1'", "providers.a.base_url: holds a user"),
    ("[providers.default]\nmodels = ['m']", "providers.default"),
    ("[providers.a]\nmodels = ['m']\n[providers.b]\nmodels = ['m']", "'m' is claimed by 'b'"),
    ("[providers.a]\nmodels = ['gpt-4o']\n[providers.b]\nmodels = ['gpt-*']", "'gpt-4o' is claimed by 'b'"),
    ("bootstrap = ", "not TOML"),
    ("bootstrap = 5", "bootstrap"),
    ("keep_raw = 'perhaps'", "keep_raw"),
    ("providers = 5", "providers"),
]


@pytest.mark.parametrize(("text", "said"), BAD)
def test_what_is_wrong_is_named(text: str, said: str) -> None:
    path = write(text)
    with pytest.raises(SettingsError) as raised:
        load()
    assert str(path) in str(raised.value)
    assert said in str(raised.value)
    assert "sk-in-a-file" not in str(raised.value)


def test_a_bad_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "localhost:8000")
    with pytest.raises(SettingsError, match=r"^OPENAI_BASE_URL: "):
        load()


def test_openais_address_is_not_taken_for_another_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    write("[providers.a]\nmodels = ['m']")
    assert isinstance(load(), Settings)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:8000/v1")
    with pytest.raises(SettingsError, match=r"providers\.a\.base_url: missing"):
        load()
