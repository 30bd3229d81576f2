"""Settings, read from the environment and `.env` once when the application is built."""

import re
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    BeforeValidator,
    Field,
    PrivateAttr,
    SecretStr,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from engine.settings.database_url import checked_url
from engine.settings.env_values import (
    EnvFileSource,
    HeaderSecret,
    HeaderText,
    clean_values,
    has_variable,
)
from engine.settings.origins import parse_origin
from engine.settings.providers import provider_of

T = TypeVar("T")

# A shorter key can be found by trying, from one signature and without asking the server.
MIN_KEY_LENGTH = 32

PROJECT_ROOT = Path(__file__).resolve().parents[2]

# Clusters and links between containers set such variables for the address of another container.
SERVICE_LINK = re.compile(r"(?:tcp|udp|sctp)://\S+:[0-9]+")

# The variable with the key of the default model.
MODEL_KEY = "{{ cookiecutter.__model_key }}"

LogFormat = Literal["text", "json"]
LogErrors = Literal["reasons", "everything"]


class UnusableSettings(ValueError):
    """A setting needs something that is missing. The message says how to fix it, in one line."""


def _split_at_commas(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


# A setting with several values, separated by commas.
CommaSeparated = Annotated[tuple[T, ...], NoDecode, BeforeValidator(_split_at_commas)]


class EnvSettings(BaseSettings):
    """Base of all settings: reads the process environment, then `.env`."""

    model_config = SettingsConfigDict(
        env_file=PROJECT_ROOT / ".env",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,  # it may be a password
    )

    def __init__(self, **values: Any) -> None:
        # Otherwise the library reads the file as UTF-8 before `EnvFileSource` does.
        super().__init__(_env_file=None, **values)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        *_args: Any,
        **sources: Any,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (
            sources["init_settings"],
            sources["env_settings"],
            EnvFileSource(settings_cls),
            sources["file_secret_settings"],
        )

    @field_validator("*")
    @classmethod
    def _check_secret(cls, value: Any) -> Any:
        if isinstance(value, SecretStr) and len(value.get_secret_value().splitlines()) > 1:
            raise ValueError("it has a line break, and must be one line. Paste it again")
        return value

    @model_validator(mode="before")
    @classmethod
    def _clean(cls, values: dict[str, Any]) -> dict[str, Any]:
        return clean_values(cls.model_fields, without_service_links(values))


def without_service_links(values: dict[str, Any]) -> dict[str, Any]:
    """The values without service links: a cluster sets NAME_PORT=tcp://10.0.0.1:80 by itself."""
    return {
        name: value
        for name, value in values.items()
        if not (name.endswith("port") and SERVICE_LINK.fullmatch(str(value)))
    }


class Settings(EnvSettings):
    """The settings that every project has. `.env.example` explains each of them."""

    database_url: str | None = None
    database_direct_url: str | None = None
    database_pool_size: int = Field(default=10, ge=1)
    database_patience_seconds: float = Field(default=15, ge=0)
    transaction_pooler: bool = False
    row_level_security: bool = False

    secret_key: SecretStr = SecretStr("")
    secret_key_previous: SecretStr = SecretStr("")

    openai_api_key: HeaderSecret | None = None
    openai_base_url: str | None = None
    openai_api: Literal["responses", "chat_completions"] = "responses"
    model: str = "{{ cookiecutter.model }}"
    models: CommaSeparated[str] = ()
    title_model: str | None = None
    summary_model: str | None = None
    model_timeout_seconds: float = Field(default=120, gt=0)
    model_retries: int = Field(default=2, ge=0)
    reasoning_encrypted_content: bool = True
    stream_options: bool = True
    prompt_cache_retention: Literal["in_memory", "24h"] | None = None
    prompt_cache_key: bool | None = None
    service_tier: Literal["auto", "default", "flex", "priority"] | None = None
    tracing: bool = False

    on_disconnect: Literal["stop", "finish"] = "stop"
    shutdown_seconds: float = Field(default=25, ge=0)
    keep_alive_seconds: float = Field(default=15, gt=0)

    turns_per_minute: int = Field(default=20, ge=1)
    running_answers_per_user: int = Field(default=3, ge=1)
    answers_per_process: int = Field(default=1_000, ge=1)
    telemetry_per_minute: int = Field(default=60, ge=0)
    tokens_per_day: int = Field(default=1_000_000, ge=0)
    budget_per_day: Decimal = Field(default=Decimal(0), ge=0)
    budget_per_month: Decimal = Field(default=Decimal(0), ge=0)
    user_budget_per_day: Decimal = Field(default=Decimal(0), ge=0)
    user_budget_per_month: Decimal = Field(default=Decimal(0), ge=0)
    prices_file: Path | None = None
    webhook_url: str | None = None
    webhook_secret: SecretStr = SecretStr("")
    message_chars: int = Field(default=20_000, ge=1)
    history_tokens: int = Field(default=32_000, ge=1_000)
    max_turns: int = Field(default=10, ge=1)
    tool_calls_per_turn: int = Field(default=30, ge=1)
    max_body_bytes: int = Field(default=1_000_000, ge=1_000)
    retention_days: float = Field(default=0, ge=0)
    sources_section: bool = False
    allowed_image_domains: CommaSeparated[str] = ()

    chatkit_domain_key: HeaderText = Field(default="local-dev", min_length=1)
    chatkit_script_url: str = "https://cdn.platform.openai.com/deployments/chatkit/chatkit.js"

    allowed_origins: CommaSeparated[str] = ()
    csp_extra: str = ""
    hsts_seconds: int = Field(default=31_536_000, ge=0)
    openapi_json: bool = False
    plain_modules: bool = False

    demo_delay_seconds: float = Field(default=0.02, ge=0)

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: LogFormat = "text"
    log_errors: LogErrors = "reasons"
    otel_exporter_otlp_endpoint: str | None = None

    _application_name: str = PrivateAttr(default="")
    _has_model_key: bool = PrivateAttr(default=False)

    def model_post_init(self, _context: object) -> None:
        self._has_model_key = has_variable(MODEL_KEY, self.model_config.get("env_file"))

    @property
    def application_name(self) -> str:
        """The name in `page.toml`, for whatever `Chat` gives its settings to."""
        return self._application_name

    def named(self, name: str) -> Self:
        copy = self.model_copy()
        copy._application_name = name  # noqa: SLF001 (its own)
        return copy

    @field_validator("allowed_origins")
    @classmethod
    def _check_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(parse_origin(origin) for origin in origins)

    @field_validator("database_url", "database_direct_url")
    @classmethod
    def _check_url(cls, value: str | None) -> str | None:
        return None if value is None else checked_url(value)

    @property
    def signing_keys(self) -> list[str]:
        """The accepted keys, with the one that signs last. Raises ValueError when none is set."""
        self.check_keys()
        key = self.secret_key.get_secret_value()
        previous = self.secret_key_previous.get_secret_value()
        if not key:
            raise ValueError(
                "SECRET_KEY is empty. `python3 -m app setup` writes one into .env; "
                "in production, set the environment variable."
            )
        return [previous, key] if previous else [key]

    def check_keys(self) -> None:
        """Raises ValueError for a key that is too short. A missing key fails where it is used."""
        if 0 < (length := len(self.secret_key.get_secret_value())) < MIN_KEY_LENGTH:
            raise ValueError(
                f"SECRET_KEY has {length} characters, and needs at least {MIN_KEY_LENGTH}. To make "
                'one: python -c "import secrets; print(secrets.token_urlsafe(48))"'
            )
        if 0 < (length := len(self.secret_key_previous.get_secret_value())) < MIN_KEY_LENGTH:
            raise ValueError(
                f"SECRET_KEY_PREVIOUS has {length} characters, and needs at least "
                f"{MIN_KEY_LENGTH}. Remove it: signatures of so short a key can be forged."
            )

    @property
    def offered_models(self) -> tuple[str, ...]:
        """The models that a user can choose from; the first is the default."""
        return self.models or (self.model,)

    @property
    def named_models(self) -> tuple[str, ...]:
        """All models that are called, including the small ones."""
        small = (self.title_model, self.summary_model)
        return (*self.offered_models, *(name for name in small if name))

    @property
    def has_budgets(self) -> bool:
        return any(
            (
                *(self.budget_per_day, self.budget_per_month),
                *(self.user_budget_per_day, self.user_budget_per_month),
            )
        )

    @property
    def sends_cache_key(self) -> bool:
        """By default to OpenAI alone: other servers may refuse a parameter that they do not know."""
        if self.prompt_cache_key is None:
            return self.openai_base_url is None
        return self.prompt_cache_key

    @property
    def other_models(self) -> tuple[str, ...]:
        """The models of other providers than OpenAI and servers like it."""
        return () if self.is_demo else tuple(filter(provider_of, self.named_models))

    @property
    def openai_models(self) -> tuple[str, ...]:
        """The models of OpenAI, or of the server at OPENAI_BASE_URL."""
        return tuple(name for name in self.named_models if not provider_of(name))

    @property
    def unreachable_models(self) -> tuple[str, ...]:
        """Models named `provider/model`, which OpenAI has none of, where only OpenAI is asked."""
        if self.openai_base_url is not None:
            return ()
        return tuple(name for name in self._called_models if "/" in name and not provider_of(name))

    @property
    def is_demo(self) -> bool:
        """True when the built-in demo model answers: without a key for the default model, or for
        OpenAI's where the settings name no model of another provider.
        """
        if self.openai_api_key is not None:
            return False
        has_key = self._names_models or self._has_model_key
        return not (has_key and any(map(provider_of, self.offered_models)))

    @property
    def _names_models(self) -> bool:
        """True where the models are not the project's default."""
        return bool({"model", "models"} & self.model_fields_set)

    @property
    def _called_models(self) -> tuple[str, ...]:
        """Without a key, the demo model stands for the default one."""
        is_default = self.openai_api_key is None and not self._names_models
        return self.named_models[1:] if is_default else self.named_models

    def setting_of(self, model: str) -> str:
        """The variable that names the model."""
        if model not in self.offered_models:
            return "TITLE_MODEL" if model == self.title_model else "SUMMARY_MODEL"
        return "MODELS" if self.models else "MODEL"
