"""Error messages for the S3-compatible store: one line each, with the fix."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import (
    ClientError,
    ConnectionError,  # not Python's own
    CredentialRetrievalError,
    HTTPClientError,
    MetadataRetrievalError,
    NoCredentialsError,
)

from engine.attachments.s3.settings import S3Settings

# The permission that each operation needs.
RIGHTS = {
    "PutObject": "s3:PutObject",
    "GetObject": "s3:GetObject",
    "DeleteObject": "s3:DeleteObject",
    "DeleteObjects": "s3:DeleteObject",
    "CopyObject": "s3:GetObject or s3:PutObject",
    "ListObjectsV2": "s3:ListBucket",
}

_WRONG_REGION = {
    "301",
    "AuthorizationHeaderMalformed",
    "AuthorizationQueryParametersError",
    "IllegalLocationConstraintException",
    "PermanentRedirect",
    "TemporaryRedirect",
}
_CLOCK = {"RequestTimeTooSkewed", "RequestExpired"}
_NO_RIGHT = {"403", "AccessDenied", "AllAccessDisabled", "Forbidden"}
_OTHER_FIXES = {
    "InvalidAccessKeyId": "the store does not know this access key: replace S3_ACCESS_KEY_ID",
    "SignatureDoesNotMatch": "the secret key does not belong to the access key: replace S3_SECRET_ACCESS_KEY",
    "ExpiredToken": "the credentials have expired: renew them, or give this machine a role",
    "InvalidToken": "the session token is not valid: renew the credentials",
    "SlowDown": "the store gets too many requests; they are retried",
}
_MISSING_RIGHT = re.compile(r"not authorized to perform: ([a-z0-9-]+:\w+)")


def reason(error: Exception, settings: S3Settings) -> str:
    """A line for the operator, without credentials and file names."""
    if isinstance(error, NoCredentialsError):
        return (
            "there are no credentials (yet): set S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY, "
            "or give this machine a role"
        )
    if isinstance(error, CredentialRetrievalError | MetadataRetrievalError):
        return f"this machine's role gives no credentials (yet): {_one_line(error)}"
    if isinstance(error, ClientError):
        return _refusal(error, settings)
    if isinstance(error, FileNotFoundError):
        return f"{error.filename}, from which the credentials are read, does not exist: create it"
    if isinstance(error, ConnectionError | HTTPClientError | OSError):
        where = settings.endpoint_url or "the store"
        return f"{where} cannot be reached ({type(error).__name__}): check S3_ENDPOINT_URL, network"
    return type(error).__name__


def _refusal(error: ClientError, settings: S3Settings) -> str:
    fields = error.response.get("Error", {})
    if error.operation_name.startswith("AssumeRole"):
        code = fields.get("Code", "")
        return (
            f"this machine's role cannot be assumed ({code}): check AWS_ROLE_ARN and its trust policy"
        )
    return explain(fields, settings, RIGHTS.get(error.operation_name, "a right"))


def explain(fields: Mapping[str, Any], settings: S3Settings, right: str) -> str:
    """The line for the fields of a store's error: `Code`, `Message`, `Region`, `ServerTime`."""
    code = str(fields.get("Code", ""))
    if code in _CLOCK:
        return wrong_clock(_moment(fields.get("ServerTime")))
    if code == "NoSuchBucket":
        return f"there is no bucket {settings.bucket}: create it, or correct S3_BUCKET"
    if code in _WRONG_REGION:
        found = fields.get("Region")
        wanted = f"S3_REGION={found}" if found else "S3_REGION to the bucket's own"
        return f"{settings.bucket} is not in {settings.region} ({code}): set {wanted}"
    if code in _NO_RIGHT:
        named = _MISSING_RIGHT.search(str(fields.get("Message", "")))
        missing = named[1] if named else right
        return f"{missing} is missing ({code}): allow it on the bucket {settings.bucket}"
    return _OTHER_FIXES.get(code, code or "no reason is given")


def wrong_clock(server: datetime | None) -> str:
    if server is None:
        return "the clock of this machine is wrong: set it (NTP)"
    seconds = (datetime.now(UTC) - server).total_seconds()
    side = "ahead of" if seconds > 0 else "behind"
    return f"the clock of this machine is {abs(seconds):.0f} s {side} the store's: set it (NTP)"


def _moment(text: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
