"""Handlers: what runs the jobs of each name, in a worker or a local queue."""

from __future__ import annotations

from typing import Any, Callable, Dict, TypeVar, Union, overload

from ..job_type import JobType
from .scripts import Handler, Script
from .typed import TypedHandler, named_handler

__all__ = ["Handlers"]

H = TypeVar("H", bound=Handler)
P = TypeVar("P")
R = TypeVar("R")


class Handlers:
    """What takes handlers, before its start and after it."""

    def __init__(self) -> None:
        self._handlers: Dict[str, Handler] = {}

    @overload
    def handle(self, name: str, handler: Handler) -> None: ...

    @overload
    def handle(self, name: JobType[P, R], handler: Union[TypedHandler[P, R], Script]) -> None: ...

    def handle(self, name: Any, handler: Any) -> None:
        """Run the jobs of a name with a handler, given before or after the start.

        Args:
            name: The job name, or a ``JobType``; a later call for the same replaces its handler.
            handler: Called with the ``Job``, or with the payload of a typed job: a plain function,
                in a thread, or an async one. What it returns becomes the result, None stores no
                data; what it raises fails the attempt, with ``str()`` of the exception as the
                error; ``Panic`` crashes it. Or a script, such as ``fail(times=2)``.
        """
        self._add(*named_handler(name, handler))

    def _add(self, name: str, handler: Handler) -> None:
        self._handlers[name] = handler

    @overload
    def handler(self, name: str) -> Callable[[H], H]: ...

    @overload
    def handler(
        self, name: JobType[P, R]
    ) -> Callable[[TypedHandler[P, R]], TypedHandler[P, R]]: ...

    def handler(self, name: Any) -> Any:
        """Return a decorator that does what ``handle`` does."""

        def register(handler: Any) -> Any:
            self.handle(name, handler)
            return handler

        return register
