"""Errors of the store are logged in one line with the fix."""

import io
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError
from starlette.responses import Response

from engine.attachments.files import FilesUnavailable
from engine.attachments.s3.faults import reason, wrong_clock
from engine.attachments.s3.settings import S3Settings
from engine.attachments.s3.storage import S3Files
from engine.tests.attachments.s3.front import error, front
from engine.tests.attachments.s3.kind import ACCESS

AMAZONS_WORDS = "User: arn:aws:iam::123:role/x is not authorized to perform: kms:GenerateDataKey on"

FAULTS = [
    (error(403, "RequestTimeTooSkewed"), ["the clock of this machine is wrong: set it (NTP)"]),
    (
        error(400, "AuthorizationHeaderMalformed", Region="eu-central-1"),
        ["a-bucket is not in us-east-1", "set S3_REGION=eu-central-1"],
    ),
    (error(400, "IllegalLocationConstraintException"), ["set S3_REGION to the bucket's own"]),
    (error(404, "NoSuchBucket"), ["there is no bucket a-bucket: create it, or correct S3_BUCKET"]),
    (error(403, "AccessDenied"), ["s3:PutObject is missing (AccessDenied): allow it"]),
    (error(403, "AccessDenied", Message=AMAZONS_WORDS), ["kms:GenerateDataKey is missing"]),
    (error(403, "InvalidAccessKeyId"), ["replace S3_ACCESS_KEY_ID"]),
    (error(403, "SignatureDoesNotMatch"), ["replace S3_SECRET_ACCESS_KEY"]),
    (error(400, "ExpiredToken"), ["the credentials have expired"]),
    (error(400, "SomethingElse"), ["refused a request: SomethingElse"]),
]


@pytest.mark.parametrize(("response", "said"), FAULTS, ids=[str(said)[-40:] for _, said in FAULTS])
async def test_an_error_is_logged_with_its_fix(
    caplog: pytest.LogCaptureFixture, response: Response, said: list[str]
) -> None:
    line = await refused_upload(caplog, lambda: response)
    for part in said:
        assert part in line


async def test_a_wrong_clock_is_logged_with_the_difference(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refusal() -> Response:
        an_hour_ago = datetime.now(UTC) - timedelta(hours=1)
        moment = an_hour_ago.strftime("%Y-%m-%dT%H:%M:%SZ")
        return error(403, "RequestTimeTooSkewed", ServerTime=moment)

    line = await refused_upload(caplog, refusal)
    assert re.search(r"the clock of this machine is 36\d\d s ahead of the store's: set it", line)


async def refused_upload(caplog: pytest.LogCaptureFixture, refusal: Callable[[], Response]) -> str:
    """Upload a file, which the store refuses with this response; return the line in the log."""
    async with front() as store:
        store.rule = lambda _request, _body: refusal()
        files = S3Files(settings(store.url))
        try:
            with pytest.raises(FilesUnavailable):
                await files.put("owner/id", io.BytesIO(b"content"), "text/plain")
        finally:
            await files.close()

    [line] = [r.getMessage() for r in caplog.records if r.name.startswith("engine.")]
    assert line.startswith("the S3 store refused a request: ")
    assert "\n" not in line
    assert "owner" not in line
    return line


async def test_a_store_that_cannot_be_reached(caplog: pytest.LogCaptureFixture) -> None:
    files = S3Files(settings("http://127.0.0.1:9"))
    with pytest.raises(FilesUnavailable):
        await files.put("owner/id", io.BytesIO(b"content"), "text/plain")
    await files.close()

    [line] = [r.getMessage() for r in caplog.records if r.name.startswith("engine.")]
    assert "http://127.0.0.1:9 cannot be reached" in line
    assert "check S3_ENDPOINT_URL" in line
    assert "owner" not in line


def test_the_permission_of_each_operation() -> None:
    for operation, right in (
        ("GetObject", "s3:GetObject"),
        ("DeleteObject", "s3:DeleteObject"),
        ("CopyObject", "s3:GetObject or s3:PutObject"),
        ("ListObjectsV2", "s3:ListBucket"),
    ):
        refusal = ClientError({"Error": {"Code": "AccessDenied"}}, operation)
        assert reason(refusal, settings("http://store.test")).startswith(f"{right} is missing")


def test_a_slow_clock() -> None:
    said = wrong_clock(datetime.now(UTC) + timedelta(seconds=1_000))
    assert "behind the store's" in said


def settings(url: str) -> S3Settings:
    given = {name.removeprefix("S3_").lower(): value for name, value in ACCESS.items()}
    return S3Settings.model_validate({"endpoint_url": url, "bucket": "a-bucket", **given})
