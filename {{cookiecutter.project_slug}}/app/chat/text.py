"""Text that PostgreSQL can hold."""

from typing import Any


def storable(value: Any) -> Any:
    """The same JSON value without what neither JSONB nor text columns take.

    NUL is dropped; half a surrogate pair, which has no UTF-8 form, becomes `?`.
    """
    if isinstance(value, str):
        return value.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, dict):
        return {storable(key): storable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [storable(item) for item in value]
    return value
