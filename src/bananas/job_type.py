"""JobType: a job's name together with the types of its payload and of its result."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Generic, Optional, Type, TypeVar, Union, overload

from ._arguments import check_integer, check_name, check_routing_key, check_text
from ._convert import convert
from ._typed_payloads import json_value
from ._types import NOT_GIVEN, NotGiven
from .enums import JobPriority, Priority, check_priority
from .models import Job, JobResult, JobSpec

__all__ = ["JobType"]

P = TypeVar("P")
R = TypeVar("R")


class JobType(Generic[P, R]):
    """A kind of job: its name, the types of its payload and result, and how it is submitted.

    Made once, and given to ``client.call``, to ``client.submit``, and to the handlers of
    ``bananas.testing``. Type checkers and the calls themselves check against the types.

    Args:
        name: The name of the handler that runs such jobs.
        payload: A dataclass, a TypedDict, a pydantic model, a builtin type, or ``List``, ``Dict``,
            ``Optional`` and such of these. ``Any`` checks nothing.
        result: The same for what the handler returns. None is a handler that returns no data.
        priority: A ``JobPriority`` or its word: which list the jobs wait in.
        max_retries: Attempts after which a failure is final.
        routing_key: The route whose workers run them, None for the flat lists; not given is the
            client's own.
        description: Free text, for people.

    Raises:
        ValueError: An argument is refused.
    """

    @overload
    def __init__(
        self: JobType[P, R],
        name: str,
        *,
        payload: Type[P],
        result: Type[R],
        priority: Priority = ...,
        max_retries: int = ...,
        routing_key: Union[str, None, NotGiven] = ...,
        description: str = ...,
    ) -> None: ...

    @overload
    def __init__(
        self: JobType[P, None],
        name: str,
        *,
        payload: Type[P],
        result: None = ...,
        priority: Priority = ...,
        max_retries: int = ...,
        routing_key: Union[str, None, NotGiven] = ...,
        description: str = ...,
    ) -> None: ...

    # To type checkers Optional[int], Union and Literal are not types.
    @overload
    def __init__(
        self: JobType[P, Any],
        name: str,
        *,
        payload: Type[P],
        result: Any,
        priority: Priority = ...,
        max_retries: int = ...,
        routing_key: Union[str, None, NotGiven] = ...,
        description: str = ...,
    ) -> None: ...

    @overload
    def __init__(
        self: JobType[Any, R],
        name: str,
        *,
        payload: Any,
        result: Type[R],
        priority: Priority = ...,
        max_retries: int = ...,
        routing_key: Union[str, None, NotGiven] = ...,
        description: str = ...,
    ) -> None: ...

    @overload
    def __init__(
        self: JobType[Any, Any],
        name: str,
        *,
        payload: Any,
        result: Any = ...,
        priority: Priority = ...,
        max_retries: int = ...,
        routing_key: Union[str, None, NotGiven] = ...,
        description: str = ...,
    ) -> None: ...

    def __init__(
        self,
        name: str,
        *,
        payload: Any,
        result: Any = None,
        priority: Priority = JobPriority.NORMAL,
        max_retries: int = 3,
        routing_key: Union[str, None, NotGiven] = NOT_GIVEN,
        description: str = "",
    ) -> None:
        self._name = check_name(name)
        self._payload = payload
        self._result = result
        self._priority = check_priority(priority)
        self._max_retries = check_integer(max_retries, "max_retries", at_least=0)
        self._routing_key = routing_key
        if not isinstance(routing_key, NotGiven):
            self._routing_key = check_routing_key(routing_key)
        self._description = check_text(description, "description")

    def __repr__(self) -> str:
        return f"<JobType {self._name}>"

    @property
    def name(self) -> str:
        """The name of the handler that runs such jobs."""
        return self._name

    def spec(
        self,
        payload: P,
        *,
        scheduled_for: Union[datetime, timedelta, None] = None,
        job_id: Optional[str] = None,
    ) -> JobSpec:
        """Return a spec for ``submit_jobs``, with the payload checked and converted.

        Args:
            payload: The handler's input.
            scheduled_for: When it is due: an aware datetime, or a timedelta from the submit. None
                is at once.
            job_id: An id of your choice; None makes a UUID.

        Raises:
            SerializationError: The payload is not of its type; the message says where.
            TypeError: The type is none that can be checked.
        """
        return JobSpec(
            self._name,
            self.dump_payload(payload),
            self._priority,
            self._description,
            scheduled_for,
            job_id,
            self._routing_key,
            self._max_retries,
        )

    def dump_payload(self, payload: P) -> Any:
        """Return a payload as a JSON value.

        Raises:
            SerializationError: It is not of its type; the message says where.
            TypeError: The type is none that can be checked.
        """
        return json_value(payload, self._payload, f"job type {self._name}")

    def load_payload(self, job: Job) -> P:
        """Return the payload of a job, converted to its type.

        Raises:
            SerializationError: It is not of its type; the message says where.
            TypeError: The type is none that can be converted to.
        """
        what = f"job {job.id}"
        loaded: P = convert(job.payload, self._payload, what, "payload", job_id=job.id)
        return loaded

    def load_result(self, result: JobResult[Any]) -> R:
        """Return what the handler returned, converted to its type; None where that has no type.

        Raises:
            JobFailedError: The job failed.
            ValueError: The handler stored no data, and the type of the result needs some.
            SerializationError: The data are not of their type; the message says where.
            TypeError: The type is none that can be converted to.
        """
        loaded: Any = None
        if self._result is None:
            result.get_result(default=None)  # raises what there is to raise
        elif result.has_data or result.is_failed or not _takes_none(self._result):
            loaded = result.get_result(self._result)
        return loaded  # type: ignore[no-any-return]

    def dump_result(self, value: R) -> Any:
        """Return what a handler in Python returned as a JSON value, as tests need it.

        Raises:
            SerializationError: It is not of its type; the message says where.
            TypeError: The type is none that can be checked.
        """
        what = f"job type {self._name}"
        return None if self._result is None else json_value(value, self._result, what, "result")


def _takes_none(target: Any) -> bool:
    return target is Any or type(None) in getattr(target, "__args__", ())
