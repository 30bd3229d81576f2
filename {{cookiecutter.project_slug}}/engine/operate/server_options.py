"""How every server of this project reads HTTP. In production, uvicorn's options say the same.

httptools takes a header of any length and reads it again and again as it grows: one connection,
without signing in, freezes a process. h11 closes it at the limit, for 0.2 ms of CPU more a request.
Cookies and tokens come together to less; common proxies allow less.
"""

from typing import Any

MAX_HEADER_BYTES = 65_536
HTTP: dict[str, Any] = {"http": "h11", "h11_max_incomplete_event_size": MAX_HEADER_BYTES}
