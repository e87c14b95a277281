"""Handlers: the functions that run the jobs of each name, in a worker or a local queue."""

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
    """An object with handlers; you can add them before and after its start."""

    def __init__(self) -> None:
        self._handlers: Dict[str, Handler] = {}

    @overload
    def handle(self, name: str, handler: Handler) -> None: ...

    @overload
    def handle(self, name: JobType[P, R], handler: Union[TypedHandler[P, R], Script]) -> None: ...

    def handle(self, name: Any, handler: Any) -> None:
        """Run all jobs of a name with a handler.

        Args:
            name: The job name, or a ``JobType``. A later call with the same name replaces the
                handler.
            handler: A plain function (which runs in a thread), an async function, or a script such
                as ``fail(times=2)``. It gets the ``Job``, or the payload of a typed job. Its return
                value becomes the result; None stores no data. If it raises, the attempt fails, and
                ``str()`` of the exception is the error. Raise ``Panic`` to simulate a panic in Go.
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
        """Return a decorator that does the same as ``handle``."""

        def register(handler: Any) -> Any:
            self.handle(name, handler)
            return handler

        return register
