"""Limits of attachments, the same for every kind of store."""

from pydantic import Field, field_validator
from pydantic_settings import SettingsConfigDict

from engine.attachments.types import EXTENSIONS
from engine.settings.settings import CommaSeparated, EnvSettings


class AttachmentSettings(EnvSettings):
    model_config = SettingsConfigDict(env_prefix="ATTACHMENT_")

    max_bytes: int = Field(default=20_000_000, ge=1)
    max_count: int = Field(default=5, ge=1)
    types: CommaSeparated[str] = ()
    user_bytes: int = Field(default=1_000_000_000, ge=1)
    link_seconds: int = Field(default=600, ge=1)
    orphan_hours: float = Field(default=24, gt=0)
    public_url: str | None = None
    inline_bytes: int = Field(default=3_000_000, ge=0)

    @field_validator("types")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := sorted(set(value) - set(EXTENSIONS)):
            raise ValueError(f"expected some of {', '.join(EXTENSIONS)}, found {', '.join(unknown)}")
        return value
