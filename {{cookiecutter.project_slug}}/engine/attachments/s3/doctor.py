"""The finding of `python3 -m app doctor` about the bucket of attachments.

It goes the way of a browser: one object is put, read and deleted at signed addresses, and a
preflight request asks whether the page may send files there.
"""

import asyncio
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from html import unescape
from typing import Literal
from urllib.parse import urlsplit
from uuid import uuid4

import httpx2
from botocore.exceptions import BotoCoreError, ClientError

from engine.attachments.files import INCOMING
from engine.attachments.s3.addresses import S3Addresses
from engine.attachments.s3.clients import S3Clients
from engine.attachments.s3.faults import explain, reason, wrong_clock
from engine.attachments.s3.settings import S3Settings
from engine.attachments.settings import AttachmentSettings
from engine.settings.finding import Finding

NAME = "attachments"

CONTENT = b"python3 -m app doctor"
TEXT = "text/plain"
TIMEOUT_SECONDS = 10
ADDRESS_SECONDS = 60
# The store takes requests as far as its clock from ours, and ours from its, as this.
CLOCK_SECONDS = 300
# Where `python3 -m app dev` serves the page.
PAGE = "http://127.0.0.1:8000"

_FIELD = re.compile(r"<(Code|Message|Region|ServerTime)>([^<]*)</")


def check() -> Finding:
    settings, page = S3Settings(), AttachmentSettings().public_url
    if not settings.bucket:
        return Finding("warn", "S3_BUCKET is not set: nothing can be attached")
    return asyncio.run(_examine(settings, _origin(page or PAGE), is_sure=page is not None))


async def _examine(settings: S3Settings, page: str, *, is_sure: bool) -> Finding:
    clients = S3Clients(settings)
    where = f"{settings.bucket} in {settings.region}"
    try:
        async with httpx2.AsyncClient(timeout=TIMEOUT_SECONDS) as browser:
            trial = _Trial(settings, clients, browser)
            host = await trial.host()
            if problems := await trial.problems():
                return Finding("fail", f"{where} at {host}: {'; '.join(problems)}")
            refusal = await trial.preflight_problem(page)
    except (BotoCoreError, ClientError, OSError) as error:
        return Finding("fail", f"{where}: {reason(error, settings)}")
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        fault = str(error) or type(error).__name__
        return Finding("fail", f"{where}: {host} does not answer ({fault}). Check S3_ENDPOINT_URL")
    finally:
        await clients.close()
    if refusal:
        elsewhere = "" if is_sure else " If the page is elsewhere, set ATTACHMENT_PUBLIC_URL"
        state: Literal["fail", "warn"] = "fail" if is_sure else "warn"
        return Finding(state, f"{where} at {host}: {refusal}.{elsewhere}")
    return Finding("ok", f"{where} at {host}: put, read, deleted and listed; {page} may upload")


class _Trial:
    def __init__(
        self, settings: S3Settings, clients: S3Clients, browser: httpx2.AsyncClient
    ) -> None:
        self._settings = settings
        self._clients = clients
        self._addresses = S3Addresses(settings, clients)
        self._browser = browser
        # If it is left over, the sweeper deletes it with the uploads.
        self._key = f"{INCOMING}/doctor/{uuid4().hex}"
        self._wrong_clock = ""

    async def host(self) -> str:
        return _origin(await self._addresses.deletion(self._key, ADDRESS_SECONDS))

    async def problems(self) -> list[str]:
        """One line for each thing that cannot be done, the same one only once."""
        problems = [await self._put_problem()]
        if problems == [""]:
            problems.append(await self._read_problem())
        problems.append(await self._delete_problem())
        problems.append(await self._list_problem())
        return [problem for problem in dict.fromkeys(problems) if problem]

    async def _put_problem(self) -> str:
        upload = await self._addresses.upload(self._key, TEXT, len(CONTENT), ADDRESS_SECONDS)
        answer = await self._browser.put(str(upload.url), headers=upload.headers, content=CONTENT)
        return self._problem(answer, "s3:PutObject")

    async def _read_problem(self) -> str:
        url = await self._addresses.download(self._key, TEXT, "inline", ADDRESS_SECONDS)
        answer = await self._browser.get(url)
        if answer.is_success and answer.content != CONTENT:
            return "what was put is not what is read: is this a store?"
        return self._problem(answer, "s3:GetObject")

    async def _delete_problem(self) -> str:
        url = await self._addresses.deletion(self._key, ADDRESS_SECONDS)
        return self._problem(await self._browser.delete(url), "s3:DeleteObject")

    async def _list_problem(self) -> str:
        """The application lists what it sweeps."""
        client = await self._clients.own()
        folder = self._settings.object_key(f"{INCOMING}/")
        try:
            await client.list_objects_v2(Bucket=self._settings.bucket, Prefix=folder, MaxKeys=1)
        except ClientError as error:
            return reason(error, self._settings)
        return ""

    def _problem(self, answer: httpx2.Response, right: str) -> str:
        if answer.is_success:
            return ""
        server = _date(answer.headers)
        if server and abs((datetime.now(UTC) - server).total_seconds()) > CLOCK_SECONDS:
            # Measured once: a second later would be another line.
            self._wrong_clock = self._wrong_clock or wrong_clock(server)
            return self._wrong_clock
        region = answer.headers.get("x-amz-bucket-region")
        fields = {"Code": str(answer.status_code), **({"Region": region} if region else {})}
        found = {name: unescape(text) for name, text in _FIELD.findall(answer.text)}
        return explain(fields | found, self._settings, right)

    async def preflight_problem(self, page: str) -> str:
        """Checks that browsers let the page at this origin upload (CORS)."""
        upload = await self._addresses.upload(self._key, TEXT, len(CONTENT), ADDRESS_SECONDS)
        asked = {
            "Origin": page,
            "Access-Control-Request-Method": "PUT",
            "Access-Control-Request-Headers": "content-type",
        }
        answer = await self._browser.options(str(upload.url), headers=asked)
        if answer.is_success and _allows(answer.headers, page):
            return ""
        return (
            f"{page} may not upload (CORS): allow PUT with Content-Type from there in the bucket's "
            "rules, as docs/configure.md shows"
        )


def _allows(headers: httpx2.Headers, page: str) -> bool:
    return (
        headers.get("access-control-allow-origin") in {page, "*"}
        and bool({"PUT", "*"} & _listed(headers, "access-control-allow-methods", str.upper))
        and bool(
            {"content-type", "*"} & _listed(headers, "access-control-allow-headers", str.lower)
        )
    )


def _listed(headers: httpx2.Headers, name: str, spelt: Callable[[str], str]) -> set[str]:
    return {spelt(part.strip()) for part in headers.get(name, "").split(",")}


def _date(headers: Mapping[str, str]) -> datetime | None:
    try:
        return parsedate_to_datetime(headers.get("date", ""))
    except ValueError:
        return None


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
