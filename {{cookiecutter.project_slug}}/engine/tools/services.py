"""Services that tools keep open while the application runs, and the error of a tool."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar


class ToolRefusal(Exception):
    """A tool cannot do what was requested; the message says why, in one line for the model."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class ToolService(Protocol):
    """A resource that a tool keeps open while the process runs, such as a connection pool."""

    async def start(self) -> None:
        """Called when the application starts; must not wait for a remote server."""
        ...

    async def close(self) -> None: ...

    async def check(self) -> str:
        """For `doctor`: returns a line that says it works. Raises `ToolRefusal` if it does not."""
        ...


T = TypeVar("T", bound=ToolService)


class ToolServices:
    """One service of each class, started and closed with the application."""

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
