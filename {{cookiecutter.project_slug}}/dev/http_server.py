"""How every server of this project reads HTTP. In production flags say the same: see README.md.

httptools takes a header of any length and reads it again and again as it grows: one connection,
without signing in, freezes a process. h11 closes the connection at the limit. It costs about
0.2 ms of CPU more for a request.
"""

from typing import Any

# Cookies and tokens together; common proxies allow less.
MAX_HEADER_BYTES = 65_536
HTTP: dict[str, Any] = {"http": "h11", "h11_max_incomplete_event_size": MAX_HEADER_BYTES}
