"""A request's body, read no further than it may go."""

from fastapi import Request

from app.errors import RequestTooLarge


async def read_body(request: Request, limit: int) -> bytes:
    """The whole body. Raises `RequestTooLarge` as soon as it is known to be."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise too_large(limit)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise too_large(limit)
    return bytes(body)


def too_large(limit: int) -> RequestTooLarge:
    return RequestTooLarge(f"A request has at most {limit} bytes.")
