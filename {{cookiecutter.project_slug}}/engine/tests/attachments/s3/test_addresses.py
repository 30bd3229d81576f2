"""The hosts of presigned URLs, and the origins that the page may connect to."""

from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from pydantic import ValidationError

from engine.attachments.s3 import clients as s3_clients
from engine.attachments.s3.addresses import S3Addresses, uploads_source
from engine.attachments.s3.clients import S3Clients
from engine.attachments.s3.settings import S3Settings
from engine.http.security_headers import security_headers
from engine.settings.settings import Settings
from engine.tests.attachments.s3.kind import without_amazons_settings

KEYS = {"S3_ACCESS_KEY_ID": "tests", "S3_SECRET_ACCESS_KEY": "tests", "S3_BUCKET": "my-bucket"}


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    without_amazons_settings(monkeypatch)
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)


async def upload_address(settings: S3Settings) -> str:
    clients = S3Clients(settings)
    try:
        addresses = S3Addresses(settings, clients)
        return str((await addresses.upload("incoming/owner/id", "text/plain", 1, 60)).url)
    finally:
        await clients.close()


AMAZON = [
    ("us-east-1", "my-bucket.s3.us-east-1.amazonaws.com"),
    ("eu-central-1", "my-bucket.s3.eu-central-1.amazonaws.com"),
    # Opened after 2019, so the global host does not know it.
    ("af-south-1", "my-bucket.s3.af-south-1.amazonaws.com"),
    ("me-central-1", "my-bucket.s3.me-central-1.amazonaws.com"),
    ("cn-north-1", "my-bucket.s3.cn-north-1.amazonaws.com.cn"),
    ("us-gov-west-1", "my-bucket.s3.us-gov-west-1.amazonaws.com"),
]


@pytest.mark.parametrize(("region", "host"), AMAZON)
async def test_a_presigned_url_has_the_regions_host(
    monkeypatch: pytest.MonkeyPatch, region: str, host: str
) -> None:
    monkeypatch.setenv("S3_REGION", region)

    url = urlsplit(await upload_address(S3Settings()))

    assert (url.scheme, url.netloc) == ("https", host)
    assert url.path == "/attachments/incoming/owner/id"
    query = parse_qs(url.query)
    assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert f"/{region}/s3/" in query["X-Amz-Credential"][0]


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1"])
async def test_a_bucket_name_with_dots_is_in_the_path(
    monkeypatch: pytest.MonkeyPatch, region: str
) -> None:
    """Amazon's wildcard certificate covers only one label."""
    monkeypatch.setenv("S3_REGION", region)
    monkeypatch.setenv("S3_BUCKET", "files.example.com")

    url = await upload_address(S3Settings())

    assert url.startswith(f"https://s3.{region}.amazonaws.com/files.example.com/attachments/")


ENDPOINTS = [
    ({"S3_ENDPOINT_URL": "https://minio.test:9000"}, "https://minio.test:9000/my-bucket/"),
    ({"AWS_ENDPOINT_URL": "https://minio.test"}, "https://minio.test/my-bucket/"),
    (
        {"S3_ENDPOINT_URL": "https://minio.test", "S3_PATH_STYLE": "false"},
        "https://my-bucket.minio.test/",
    ),
    ({"S3_PATH_STYLE": "true"}, "https://s3.us-east-1.amazonaws.com/my-bucket/"),
]


@pytest.mark.parametrize(("environment", "start"), ENDPOINTS)
async def test_other_stores_are_addressed_by_the_path(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], start: str
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert (await upload_address(S3Settings())).startswith(start)


# Our settings and boto's, each of which determines the host.
PLACES: list[dict[str, str]] = [
    {},
    {"S3_BUCKET": "my.bucket"},
    {"S3_PREFIX": "a folder; of, its own"},
    {"S3_PREFIX": "/"},
    {"S3_REGION": "cn-north-1"},
    {"S3_REGION": "us-gov-west-1"},
    {"S3_PATH_STYLE": "true"},
    {"S3_ENDPOINT_URL": "https://store.test/s3/path"},
    {"S3_ENDPOINT_URL": "https://store.test/a;b,c"},
    {"S3_ENDPOINT_URL": "https://store.test:443"},
    {"S3_ENDPOINT_URL": "http://store.test", "S3_PUBLIC_ENDPOINT_URL": "https://public.test/s3"},
    {"AWS_ENDPOINT_URL": "https://store.test/s3"},
    {"AWS_ENDPOINT_URL": "https://other.test", "AWS_ENDPOINT_URL_S3": "https://store.test"},
    {"AWS_ENDPOINT_URL": "https://other.test", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"},
    {"AWS_USE_DUALSTACK_ENDPOINT": "true", "S3_REGION": "eu-central-1"},
    {"AWS_USE_FIPS_ENDPOINT": "true", "S3_REGION": "us-west-2"},
    {"AWS_CONFIG_FILE": "accelerate"},
]


@pytest.mark.parametrize("environment", PLACES, ids=str)
async def test_the_page_may_connect_to_the_presigned_url(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, environment: dict[str, str]
) -> None:
    accelerate = tmp_path / "accelerate"
    accelerate.write_text("[default]\ns3 =\n    use_accelerate_endpoint = true\n")
    for name, value in environment.items():
        monkeypatch.setenv(name, value.replace("accelerate", str(accelerate)))
    s3_clients._session.cache_clear()
    try:
        url, source = await upload_address(S3Settings()), uploads_source(S3Settings())
    finally:
        s3_clients._session.cache_clear()

    assert url.startswith(source)
    assert url[len(source) :].startswith("owner/id?")
    headers = security_headers(Settings(), connect=[source])
    [connect] = [
        directive.split()
        for directive in headers["Content-Security-Policy"].split(";")
        if directive.startswith(" connect-src ")
    ]
    # Browsers compare decoded URLs.
    assert [unquote(allowed) for allowed in connect[2:]] == [unquote(source)]
    if "accelerate" in environment.values():
        assert urlsplit(url).netloc == "my-bucket.s3-accelerate.amazonaws.com"


async def test_the_policy_needs_no_credentials(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The credentials of the machine's role may arrive later, or never."""
    for name in ("S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:9/")

    source = uploads_source(S3Settings())

    assert source == "https://my-bucket.s3.us-east-1.amazonaws.com/attachments/incoming/"


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"S3_BUCKET": "https://my-bucket.test"}, "S3_BUCKET must be only a bucket's name"),
        ({"S3_REGION": "eu central"}, "S3_REGION must be a region"),
        ({"S3_ENDPOINT_URL": "minio:9000"}, "must begin with https://"),
        ({"S3_SECRET_ACCESS_KEY": ""}, "S3_SECRET_ACCESS_KEY is missing"),
        ({"S3_ACCESS_KEY_ID": ""}, "S3_ACCESS_KEY_ID is missing"),
    ],
)
def test_invalid_settings_are_refused(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], said: str
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError, match=said):
        S3Settings()
