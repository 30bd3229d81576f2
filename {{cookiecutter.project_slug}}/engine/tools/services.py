"""What tools keep open while the application runs, and how they say no."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar


class ToolRefusal(Exception):
    """What the model asks for cannot be done; the message says why, in one line that it reads."""


class ToolService(Protocol):
    """What a tool keeps open for the life of the process, such as a pool of connections."""

    async def start(self) -> None:
        """Called when the application starts, which does not wait for anything far away."""
        ...

    async def close(self) -> None: ...

    async def check(self) -> str:
        """For `doctor`: say that it works. Raises `ToolRefusal` with what is missing."""
        ...


T = TypeVar("T", bound=ToolService)


class ToolServices:
    """One service of each kind, built with the application and closed with it."""

    def __init__(self, builders: Iterable[Callable[[], ToolService]]) -> None:
        services = [build() for build in builders]
        self._services: dict[type[ToolService], ToolService] = {type(s): s for s in services}

    def get(self, kind: type[T]) -> T:
        service = self._services[kind]
        assert isinstance(service, kind)
        return service

    async def start(self) -> None:
        for service in self._services.values():
            await service.start()

    async def close(self) -> None:
        await asyncio.gather(*(service.close() for service in self._services.values()))
