"""Credentials of a machine's role that arrive late, on EC2, ECS and EKS."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from engine.attachments.files import FilesUnavailable
from engine.attachments.s3 import clients as s3_clients
from engine.attachments.s3.settings import S3Settings
from engine.attachments.s3.storage import S3Files
from engine.tests.attachments.s3.kind import without_amazons_settings
from engine.tests.fixtures import serving

EXPIRES = (datetime.now(UTC) + timedelta(hours=6)).strftime("%Y-%m-%dT%H:%M:%SZ")
KEYS = {
    "Code": "Success",
    "AccessKeyId": "AKIDOFTHEROLE",
    "SecretAccessKey": "secret",
    "Token": "token",
    "Expiration": EXPIRES,
}
STS = f"""<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>AKIDOFTHEROLE</AccessKeyId>
<SecretAccessKey>secret</SecretAccessKey><SessionToken>token</SessionToken>
<Expiration>{EXPIRES}</Expiration></Credentials></AssumeRoleWithWebIdentityResult>
</AssumeRoleWithWebIdentityResponse>"""
REFUSAL = """<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code>
<Message>Not authorized</Message></Error></ErrorResponse>"""


@dataclass
class Machine:
    """The metadata services that return a machine's credentials on EC2, ECS and EKS."""

    url: str = ""
    is_ready: bool = False
    came: list[str] = field(default_factory=list)

    async def answer(self, request: Request) -> Response:
        self.came.append(request.url.path)
        path = request.url.path
        if path == "/":
            return Response(STS if self.is_ready else REFUSAL, 200 if self.is_ready else 403)
        if not self.is_ready:
            return Response(status_code=503)
        if path == "/latest/api/token":
            return PlainTextResponse("token")
        if path.endswith("/security-credentials/"):
            return PlainTextResponse("a-role")
        return Response(json.dumps(KEYS), media_type="application/json")


@pytest_asyncio.fixture
async def machine(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Machine]:
    without_amazons_settings(monkeypatch)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    machine = Machine()
    methods = ["GET", "POST", "PUT"]
    app = Starlette(routes=[Route("/{path:path}", machine.answer, methods=methods)])
    s3_clients._session.cache_clear()
    async with serving(app) as machine.url:  # type: ignore[arg-type]
        yield machine
    s3_clients._session.cache_clear()


@asynccontextmanager
async def bucket() -> AsyncIterator[S3Files]:
    files = S3Files(S3Settings(bucket="my-bucket"))
    try:
        yield files
    finally:
        await files.close()


async def address(files: S3Files) -> str:
    return await files.locate("owner/id", "text/plain", "inline", 60)


def with_ec2(machine: Machine, monkeypatch: pytest.MonkeyPatch, _folder: Path) -> None:
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", machine.url)


def with_ecs(machine: Machine, monkeypatch: pytest.MonkeyPatch, _folder: Path) -> None:
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{machine.url}/credentials")


def with_eks(machine: Machine, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    token = folder / "token"
    token.write_text("token")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(token))
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/chat")
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", machine.url)


@pytest.mark.parametrize(
    ("give", "said"),
    [
        (with_ec2, "there are no credentials (yet): set S3_ACCESS_KEY_ID"),
        (with_ecs, "this machine's role gives no credentials (yet): "),
        (with_eks, "this machine's role cannot be assumed (AccessDenied): check AWS_ROLE_ARN"),
    ],
)
async def test_credentials_that_arrive_late_are_requested_again(
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    give: object,
    said: str,
) -> None:
    assert callable(give)
    give(machine, monkeypatch, tmp_path)
    async with bucket() as files:
        with pytest.raises(FilesUnavailable):
            await address(files)
        assert machine.came, "the metadata service got no request"
        [line] = [
            record.getMessage() for record in caplog.records if record.name.startswith("engine")
        ]
        assert said in line
        assert "\n" not in line

        machine.is_ready = True

        assert "AKIDOFTHEROLE" in await address(files)


async def test_a_token_file_that_is_written_late(
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with_eks(machine, monkeypatch, tmp_path)
    (tmp_path / "token").unlink()
    machine.is_ready = True
    async with bucket() as files:
        with pytest.raises(FilesUnavailable):
            await address(files)
        assert f"{tmp_path / 'token'}, from which the credentials are read, does not exist" in caplog.text

        (tmp_path / "token").write_text("token")

        assert "AKIDOFTHEROLE" in await address(files)


async def test_parallel_requests_for_credentials(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with_ec2(machine, monkeypatch, tmp_path)
    async with bucket() as files:
        refused = await asyncio.gather(*(address(files) for _ in range(5)), return_exceptions=True)
        assert all(isinstance(one, FilesUnavailable) for one in refused)

        machine.is_ready = True
        found = await asyncio.gather(*(address(files) for _ in range(5)))

    assert all("AKIDOFTHEROLE" in url for url in found)
