"""Settings of the S3-compatible store."""

import re
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from engine.settings.settings import EnvSettings

_BUCKET = re.compile(r"[A-Za-z0-9._-]{1,255}|arn:[^\s/]+(/[^\s/]+)*")
_REGION = re.compile(r"[A-Za-z0-9-]{1,63}")


class S3Settings(EnvSettings):
    model_config = SettingsConfigDict(env_prefix="S3_")

    bucket: str = ""
    prefix: str = "attachments"
    endpoint_url: str | None = None
    public_endpoint_url: str | None = None
    region: str = "us-east-1"
    access_key_id: str | None = None
    secret_access_key: SecretStr | None = None
    # None: the bucket's own host name at Amazon, a path at other stores.
    path_style: bool | None = None
    upload_seconds: int = Field(default=300, ge=1)

    @field_validator("bucket")
    @classmethod
    def _check_bucket(cls, bucket: str) -> str:
        if bucket and not _BUCKET.fullmatch(bucket):
            raise ValueError(f"S3_BUCKET must be only a bucket's name, not {bucket!r}")
        return bucket

    @field_validator("region")
    @classmethod
    def _check_region(cls, region: str) -> str:
        if not _REGION.fullmatch(region):
            raise ValueError(f"S3_REGION must be a region such as eu-central-1, not {region!r}")
        return region

    @field_validator("endpoint_url", "public_endpoint_url")
    @classmethod
    def _check_url(cls, url: str | None) -> str | None:
        if url is not None and not _is_http(url):
            raise ValueError(
                "S3_ENDPOINT_URL and S3_PUBLIC_ENDPOINT_URL must begin with https:// or http://, "
                f"not {url!r}"
            )
        return url

    @model_validator(mode="after")
    def _check_credentials(self) -> "S3Settings":
        given = {
            "S3_ACCESS_KEY_ID": self.access_key_id,
            "S3_SECRET_ACCESS_KEY": self.secret_access_key,
        }
        missing = [name for name, value in given.items() if value is None]
        if len(missing) == 1:
            raise ValueError(f"{missing[0]} is missing: set it, or remove the other one")
        return self

    def object_key(self, key: str) -> str:
        """The object's name in the bucket for this key."""
        prefix = self.prefix.strip("/")
        return f"{prefix}/{key}" if prefix else key


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)
