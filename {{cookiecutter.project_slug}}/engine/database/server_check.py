"""What a PostgreSQL must be for this application; each part asks before it uses one."""

from collections.abc import Mapping
from typing import Any

OLDEST_POSTGRES = 13

# One row, for `server_problem`.
SERVER = """
SELECT current_setting('server_version') AS version,
       current_setting('server_version_num')::int AS number,
       current_setting('server_encoding') AS encoding,
       current_setting('transaction_read_only') = 'on' AS is_read_only
"""

READ_ONLY = (
    "The database refuses writes: it is a standby, or read-only. Where DATABASE_URL names several "
    "hosts, target_session_attrs=read-write in it finds the one that takes writes."
)


def server_problem(server: Mapping[Any, Any]) -> str | None:
    """Why the server of this row cannot be used, with the mend; None when it can."""
    if server["number"] < OLDEST_POSTGRES * 10_000:
        return (
            f"PostgreSQL {server['version'].split()[0]} is too old: "
            f"{OLDEST_POSTGRES} or newer is needed."
        )
    if server["encoding"] != "UTF8":
        return (
            f"The database's encoding is {server['encoding']}, which lacks most scripts and emoji. "
            "Make one in UTF-8: CREATE DATABASE name ENCODING 'UTF8' TEMPLATE template0"
        )
    return READ_ONLY if server["is_read_only"] else None
