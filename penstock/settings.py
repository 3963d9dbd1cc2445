"""Settings: the environment over `penstock.toml`. Keys stay secret, and what the file says wrong is named with its key."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Container, Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from penstock import kafka_settings, registry_settings, secret_files, topic_settings
from penstock.addresses import has_user, is_http
from penstock.encryption import EncryptionSettings
from penstock.kafka_settings import KafkaSettings
from penstock.registry_settings import RegistrySettings
from penstock.secret_files import SecretProblem
from penstock.topic_settings import TopicSettings
from streams.core.prices import Price
from streams.errors import PenstockError
from streams.providers.config import DEFAULT_PROVIDER, ProviderConfig
from topology.claim_stores import problem_of
from topology.diagnostics import suggestion
from topology.naming import use_prefix

CONFIG_FILE = "penstock.toml"
_NO_KEY = "none"
"""Sent when a base URL is set without a key: local servers want some header, any will do."""


class SettingsError(PenstockError):
    """Settings that cannot work.

    Operator action: correct the key that the message names, in the file or the variable it names.
    """


class PriceSettings(BaseModel):
    """`prices` of a provider: dollars per million tokens."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    input_per_mtok: float = Field(ge=0)
    """US dollars for a million prompt tokens."""
    output_per_mtok: float = Field(ge=0)
    """US dollars for a million answer tokens."""


class ProviderSettings(BaseModel):
    """A `[providers.NAME]` table."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    base_url: str | None = None
    """Where it listens; without it OpenAI's own address."""
    api_key_env: str | None = None
    """The environment variable that holds its key; the key itself never stands in the file."""
    models: tuple[str, ...] = ()
    """Its models; `*` and `?` stand for anything (`gpt-*`). A model belongs to one provider."""
    requests_per_minute: int | None = Field(None, gt=0)
    """Calls that one worker makes in a minute; more are held back without burning an attempt."""
    tokens_per_minute: int | None = Field(None, gt=0)
    """Tokens that one worker uses in a minute, likewise."""
    prices: dict[str, PriceSettings] = Field(default_factory=dict)
    """By model; what is not here is looked up in the list prices that come with Penstock."""
    max_tokens_param: Literal["max_tokens", "max_completion_tokens"] | None = None
    """How the server calls the limit of an answer; `max_completion_tokens` at OpenAI, `max_tokens` elsewhere unless told otherwise."""


_FILE_ONLY = ("providers", "topics", "config_file")


class _Environment(EnvSettingsSource):
    """The environment, but for what only the file may set: nobody means PENSTOCK_PROVIDERS to be read."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        if field_name in _FILE_ONLY:
            return None, field_name, False
        return super().get_field_value(field, field_name)


class Settings(BaseSettings, KafkaSettings, TopicSettings, RegistrySettings):
    """Everything that is set from outside; made by `load`, which hands in what the file says."""

    model_config = SettingsConfigDict(
        env_prefix="PENSTOCK_",
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )

    bootstrap: str | None = None
    """Kafka's address, `HOST:PORT`. Without it the embedded Kafka of `home` is meant."""
    home: Path = Path(".penstock")
    """Folder of the embedded Kafka's data and of the console's read model."""
    openai_base_url: str | None = Field(None, validation_alias="OPENAI_BASE_URL")
    """Address of the default provider: anything that speaks the OpenAI chat protocol."""
    openai_api_key: SecretStr | None = Field(None, validation_alias="OPENAI_API_KEY")
    """Key of the default provider."""
    providers: dict[str, ProviderSettings] = Field(default_factory=dict)
    """Tables `[providers.NAME]`, in the file only."""
    keep_raw: bool = True
    """Keep models' raw answers in the journals."""
    console_token: SecretStr | None = Field(None, min_length=1)
    """Token of `penstock console`; without one a new one is made and printed at each start."""
    claim_check_stores: tuple[str, ...] = ()
    """Where large values may be, and nowhere else: `file:///FOLDER`, `s3://BUCKET/PREFIX`."""
    encryption: EncryptionSettings = EncryptionSettings()
    """Table `encryption`: the keys of what travels encrypted."""
    config_file: Path | None = None
    """The file that was read: `PENSTOCK_CONFIG` names it, else `penstock.toml` in the current folder."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put the environment over the file."""
        return _Environment(settings_cls), init_settings

    @model_validator(mode="before")
    @classmethod
    def _read_secrets(cls, values: dict[str, Any]) -> dict[str, Any]:
        return values | secret_files.read(cls, values)

    @property
    def has_provider(self) -> bool:
        """Say whether any model can be reached."""
        return bool(self.providers or self.openai_base_url or self.openai_api_key)

    def provider_configs(self) -> tuple[ProviderConfig, ...]:
        """Return every provider ready for the registry; keys come from the variables that `api_key_env` names."""
        named = [_resolved(self, name, provider) for name, provider in self.providers.items()]
        return (*self._default_provider(), *named)

    def _default_provider(self) -> tuple[ProviderConfig, ...]:
        if not (self.openai_base_url or self.openai_api_key):
            return ()
        key = self.openai_api_key or SecretStr(_NO_KEY)
        param = _max_tokens_param(self.openai_base_url)
        keep = self.keep_raw
        return (ProviderConfig(DEFAULT_PROVIDER, key, self.openai_base_url, max_tokens_param=param, keep_raw=keep),)


def load(folder: Path | None = None) -> Settings:
    """Read the environment and the file (`PENSTOCK_CONFIG`, else `penstock.toml` in `folder`); SettingsError if bad.

    From then on the names of topics and groups begin with its `topic_prefix`, in the whole process (ADR 0020).
    """
    path, values = _read_file(folder or Path.cwd())
    try:
        settings = Settings(**values, config_file=path)
    except ValidationError as error:
        raise SettingsError(_explained(error, path, values)) from None
    rooms = (kafka_settings, topic_settings, registry_settings)
    for key, said in (problem for room in rooms for problem in room.problems(settings)):
        raise SettingsError(f"{_where(key, path, values)}: {said}")
    for store in settings.claim_check_stores:
        if problem := problem_of(store):
            raise SettingsError(f"{_where('claim_check_stores', path, values)}: {store!r}: {problem}")
    _check_providers(settings)
    use_prefix(settings.topic_prefix)
    return settings


def named(settings: Settings, key: str) -> str:
    """Say where a setting comes from, for a message: its variable, or its key in the file."""
    in_file = not os.environ.get(f"PENSTOCK_{key.upper()}") and key in settings.model_fields_set
    return _where(key, settings.config_file, (key,) if in_file else ())


def _read_file(folder: Path) -> tuple[Path | None, dict[str, Any]]:
    named = os.environ.get("PENSTOCK_CONFIG")
    path = folder / (named or CONFIG_FILE)
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if named:
            raise SettingsError(f"{path}: no such file (named by PENSTOCK_CONFIG)") from None
        return None, {}
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise SettingsError(f"{path}: not TOML: {error}") from None
    _check_keys(path, values)
    return path, values


def _check_keys(path: Path, values: dict[str, Any]) -> None:
    """Refuse keys that the file may not have: the model says which there are."""
    try:
        secret_files.refuse_in_file(Settings, values)
    except SecretProblem as problem:
        raise SettingsError(f"{path}: {problem}") from None
    fields = Settings.model_fields.items()
    known = {key for key, field in fields if not field.validation_alias and not secret_files.is_secret(field)}
    known -= {"config_file"}
    for key in sorted(values.keys() - known):
        hint = suggestion(key, sorted(known))
        raise SettingsError(f"{path}: {key}: unknown key{hint}; known: {', '.join(sorted(known))}")


def _explained(error: ValidationError, path: Path | None, values: Mapping[str, Any]) -> str:
    lines = []
    for problem in error.errors(include_input=False, include_url=False):
        cause = problem.get("ctx", {}).get("error")
        if isinstance(cause, SecretProblem):
            lines.append(f"{_where(cause.key, path, values)}: {cause.said}")
            continue
        key = ".".join(map(str, problem["loc"]))
        said = "unknown key" if problem["type"] == "extra_forbidden" else problem["msg"]
        lines.append(f"{_where(key, path, values)}: {said}")
    return "\n".join(lines)


def _where(key: str, path: Path | None, in_file: Container[str]) -> str:
    """Say where a setting comes from: its variable, or its key in the file."""
    variable = f"PENSTOCK_{key.upper()}"
    if key.isupper():
        return key
    if os.environ.get(variable):
        return variable
    return f"{path}: {key}" if key.partition(".")[0] in in_file else f"{key} ({variable})"


def _check_providers(settings: Settings) -> None:
    prefix = f"{settings.config_file}: providers"
    for name, provider in settings.providers.items():
        if name == DEFAULT_PROVIDER:
            raise SettingsError(f"{prefix}.{name}: the default provider is set by OPENAI_BASE_URL and OPENAI_API_KEY")
        if not provider.models:
            raise SettingsError(f"{prefix}.{name}.models: missing: which models does it have?")
        if provider.base_url is None and settings.openai_base_url is not None:
            raise SettingsError(f"{prefix}.{name}.base_url: missing, and OPENAI_BASE_URL would be taken for it")
    for key, url in _urls(settings):
        if not is_http(url):
            raise SettingsError(f"{key}: not an http(s) address")
        if has_user(url):  # no client sends it beside the key: each call would fail as if nobody answered
            raise SettingsError(f"{key}: holds a user or password; a key goes into api_key_env, or OPENAI_API_KEY")
    _check_claims(settings)


def _urls(settings: Settings) -> Iterable[tuple[str, str]]:
    if settings.openai_base_url is not None:
        yield "OPENAI_BASE_URL", settings.openai_base_url
    for name, provider in settings.providers.items():
        if provider.base_url is not None:
            yield f"{settings.config_file}: providers.{name}.base_url", provider.base_url


def _check_claims(settings: Settings) -> None:
    """Refuse a model that two providers claim, by the same text or by a name that the other's glob covers.

    Two globs that overlap otherwise show only when a model is looked up: the registry refuses it then.
    """
    claims = [(name, model) for name, provider in settings.providers.items() for model in provider.models]
    for name, model in claims:
        for other, pattern in claims:
            if other != name and fnmatchcase(model, pattern):
                raise SettingsError(
                    f"{settings.config_file}: providers.{name}.models: {model!r} is claimed by {other!r}, too ({pattern!r})"
                )


def _resolved(settings: Settings, name: str, provider: ProviderSettings) -> ProviderConfig:
    key = _NO_KEY
    if provider.api_key_env is not None:
        key = os.environ.get(provider.api_key_env, "")
        if not key:
            where = f"{settings.config_file}: providers.{name}.api_key_env"
            raise SettingsError(f"{where}: the environment variable {provider.api_key_env} is not set")
    return ProviderConfig(
        name=name,
        api_key=SecretStr(key),
        base_url=provider.base_url,
        models=provider.models,
        max_tokens_param=provider.max_tokens_param or _max_tokens_param(provider.base_url),
        prices={model: Price(price.input_per_mtok, price.output_per_mtok) for model, price in provider.prices.items()},
        requests_per_minute=provider.requests_per_minute,
        tokens_per_minute=provider.tokens_per_minute,
        keep_raw=settings.keep_raw,
    )


def _max_tokens_param(base_url: str | None) -> Literal["max_tokens", "max_completion_tokens"]:
    """OpenAI itself refuses `max_tokens` for its newer models; most other servers know nothing else."""
    host = (urlsplit(base_url).hostname or "") if base_url is not None else "openai.com"
    return "max_completion_tokens" if host == "openai.com" or host.endswith(".openai.com") else "max_tokens"
